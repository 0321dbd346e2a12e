//! What an instance leaves for a reader: the files that it was configured by, and its log.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::process::Output;
use super::server::tail;

/// Bytes of the end of a log that are searched.
const SEARCHED: u64 = 256 * 1024;
/// Lines of one case that are kept.
const LINES: usize = 200;
/// Characters of a line that are kept.
const LINE: usize = 2000;
/// The name of a log in the folder of a built-in server ends so.
const LOG: &str = "log";

/// The configuration and the log of an instance.
#[derive(Clone, Debug, Default)]
pub struct Traces {
    /// Names and texts of the files that s2spec wrote for it.
    pub(super) configuration: Arc<BTreeMap<String, String>>,
    /// What it wrote behind them of each partner, by its domain.
    pub(super) partners: Vec<(String, String)>,
    /// Its log files.
    pub(super) logs: Vec<PathBuf>,
    /// A folder in which it may write some.
    pub(super) folder: Option<PathBuf>,
    /// What it writes to its output.
    pub(super) output: Option<Output>,
}

impl Traces {
    /// Names and texts of its files. Of the partners, only those of these domains are in it, and those below
    /// them.
    pub fn configuration(&self, domains: &[&str]) -> Arc<BTreeMap<String, String>> {
        if self.partners.is_empty() {
            return Arc::clone(&self.configuration);
        }
        let is_of_case = |domain: &str| {
            domains.iter().any(|one| {
                let rest = domain.strip_suffix(one);
                rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            })
        };
        let partners = self.partners.iter();
        let tables: String = partners
            .filter(|(domain, _)| is_of_case(domain))
            .map(|(_, table)| table.as_str())
            .collect();
        let files = self.configuration.iter();
        let files = files.map(|(name, text)| (name.clone(), format!("{text}{tables}")));
        Arc::new(files.collect())
    }

    /// The last lines of its log that name a domain. What cannot be read has none.
    pub async fn log_of(&self, domain: &str) -> Vec<String> {
        let mut texts = Vec::new();
        texts.extend(self.output.as_ref().map(Output::bytes));
        for log in self.log_files() {
            texts.extend(tail(log, SEARCHED).await);
        }
        let texts = texts.iter().map(|bytes| String::from_utf8_lossy(bytes));
        let mut lines: Vec<String> = Vec::new();
        for text in texts {
            let of_case = text.lines().filter(|line| line.contains(domain));
            lines.extend(of_case.map(|line| line.chars().take(LINE).collect()));
        }
        lines.drain(..lines.len().saturating_sub(LINES));
        lines
    }

    fn log_files(&self) -> Vec<PathBuf> {
        let beside = self.folder.iter().flat_map(std::fs::read_dir);
        let beside = beside.flatten().flatten().map(|entry| entry.path());
        let beside = beside.filter(|path| path.extension().is_some_and(|ending| ending == LOG));
        self.logs.iter().cloned().chain(beside).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_all_partners_only_those_of_the_case_are_shown() {
        let partner = |domain: &str| (domain.to_owned(), format!("[{domain}]\n"));
        let traces = Traces {
            configuration: Arc::new([("a.toml".to_owned(), "x = 1\n".to_owned())].into()),
            partners: vec![
                partner("a.example"),
                partner("other.a.example"),
                partner("ba.example"),
            ],
            ..Traces::default()
        };
        let shown = traces.configuration(&["a.example"]);
        assert_eq!(shown["a.toml"], "x = 1\n[a.example]\n[other.a.example]\n");
    }

    #[tokio::test]
    async fn the_lines_of_a_case_are_those_that_name_its_domain() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("server.log");
        std::fs::write(&log, "a.example: in\nb.example: in\na.example: out\n").unwrap();
        std::fs::write(folder.path().join("server.txt"), "a.example: no log\n").unwrap();
        let own = Traces {
            folder: Some(folder.path().to_owned()),
            ..Traces::default()
        };
        let of_file = Traces {
            logs: vec![log, folder.path().join("none")],
            ..Traces::default()
        };
        for traces in [own, of_file] {
            let lines = traces.log_of("a.example").await;
            assert_eq!(lines, ["a.example: in", "a.example: out"]);
        }
    }
}
