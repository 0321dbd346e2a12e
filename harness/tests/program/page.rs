//! The page of a report in a browser: Chromium without a window, driven by WebDriver.

#![expect(clippy::print_stdout, reason = "a test that is left out says so")]

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

/// A browser that does not answer for this long never will.
const PATIENCE: Duration = Duration::from_secs(120);
/// The widths at which a page has to fit, in CSS pixels.
const WIDTHS: [u32; 4] = [360, 768, 1280, 1600];

/// Reports what the page says went wrong, from its first line on.
const LISTEN: &str = "window.wrong = []; addEventListener('error', (event) => window.wrong.push(event.message)); \
     addEventListener('securitypolicyviolation', (event) => window.wrong.push(event.violatedDirective));";

/// A browser and its driver, which end with the test.
///
/// Half a dozen commands of WebDriver are needed, each one request (W3C WebDriver §6). The clients that there are
/// bring sixty crates for them.
struct Browser {
    driver: Child,
    port: u16,
    session: String,
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.command("DELETE", "", None);
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

impl Browser {
    /// `None` where there is no driver.
    fn start() -> Option<Self> {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let stdout = BufReader::new(driver.stdout.take().expect("it is piped"));
        let number = |line: String| {
            let number = line.split_once("started successfully on port ")?.1;
            number.trim_end_matches('.').parse().ok()
        };
        let mut lines = stdout.lines().map_while(Result::ok);
        let port = lines.find_map(number).expect("it says its port");
        // It would die of a pipe that nobody reads.
        std::thread::spawn(move || lines.for_each(drop));
        let mut browser = Self {
            driver,
            port,
            session: String::new(),
        };
        let options = json!({"args": ["--headless=new", "--no-sandbox", "--disable-gpu"]});
        let wanted = json!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}});
        let made = browser
            .request("POST", "/session", Some(&wanted))
            .expect("Chromium starts");
        let id = made["sessionId"].as_str().expect("a session");
        browser.session = format!("/session/{id}");
        let patience = u64::try_from(PATIENCE.as_millis()).expect("it is short");
        let timeouts = json!({"script": patience});
        let set = browser.command("POST", "/timeouts", Some(&timeouts));
        set.expect("it takes times");
        Some(browser)
    }

    /// A command of the session.
    fn command(&self, method: &str, path: &str, body: Option<&Value>) -> io::Result<Value> {
        self.request(method, &format!("{}{path}", self.session), body)
    }

    /// One request, and the value of its answer.
    fn request(&self, method: &str, path: &str, body: Option<&Value>) -> io::Result<Value> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let body = body.map(Value::to_string).unwrap_or_default();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body.as_bytes())?;
        // The driver keeps the connection open, whatever is asked of it.
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let is_well = line.starts_with("HTTP/1.1 200");
        let mut length = 0;
        while line.trim() != "" {
            line.clear();
            stream.read_line(&mut line)?;
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body)?;
        let mut document: Value = serde_json::from_slice(&body)?;
        if is_well {
            Ok(document["value"].take())
        } else {
            Err(io::Error::other(document["value"]["message"].to_string()))
        }
    }

    fn open(&self, url: &str) {
        let body = json!({"url": url});
        self.command("POST", "/url", Some(&body)).expect("it opens");
        self.run(LISTEN);
    }

    /// What a script returns.
    fn run(&self, script: &str) -> Value {
        let body = json!({"script": script, "args": []});
        self.command("POST", "/execute/sync", Some(&body))
            .expect(script)
    }

    /// What a script passes on in the end.
    fn run_to_the_end(&self, script: &str) -> Value {
        let body = json!({"script": script, "args": []});
        self.command("POST", "/execute/async", Some(&body))
            .expect(script)
    }

    fn resize(&self, width: u32) {
        let body = json!({"width": width, "height": 900});
        self.command("POST", "/window/rect", Some(&body))
            .expect("it has another size");
    }

    /// The number of cases that are shown.
    fn shown(&self) -> u64 {
        let script = "return document.querySelectorAll('details.case:not([hidden])').length;";
        self.run(script).as_u64().expect("a number")
    }
}

/// The report of a run, in which the cases of one partner are made to fail.
fn report(folder: &Path) -> PathBuf {
    let s2spec = |arguments: &[&str], file: &Path| {
        let mut command = crate::s2spec();
        command.args(arguments).arg(file).env("S2SPEC_PROJECT", "");
        let status = command.stdout(Stdio::null()).status().expect("it runs");
        assert_eq!(status.code(), Some(0), "{arguments:?}");
    };
    let run = [
        "run",
        "personas/row07",
        "idle",
        "-q",
        "--transcripts",
        "--no-out",
        "--json",
    ];
    let json = folder.join("run.json");
    s2spec(&run, &json);
    let text = std::fs::read_to_string(&json).expect("it is written");
    let mut report: Value = serde_json::from_str(&text).expect("it is JSON");
    let clause =
        json!({"requirement": null, "level": "must", "source": "RFC 6120 §5", "text": "It fails."});
    let mut failed = Vec::new();
    for case in report["cases"].as_array_mut().expect("cases") {
        if case["partner"]["name"] == "cert-expired" {
            case["verdict"] = "fail".into();
            case["why"] = "<script>window.wrong.push('markup')</script>".into();
            case["findings"] = json!([{"clause": clause, "weight": "fail", "text": "it failed"}]);
            failed.push(case["id"].clone());
        }
    }
    let passed = report["summary"]["pass"].as_u64().expect("a number") - failed.len() as u64;
    report["summary"]["pass"] = passed.into();
    report["summary"]["fail"] = failed.len().into();
    report["causes"] =
        json!([{"clause": clause, "verdict": "fail", "text": "it failed", "cases": failed}]);
    std::fs::write(&json, report.to_string()).expect("it is written");
    let json = json.to_str().expect("it is UTF-8");
    s2spec(&["report", json, "--out"], folder);
    folder.join("report.html")
}

#[test]
fn a_report_can_be_read_filtered_and_linked_to() {
    let Some(browser) = Browser::start() else {
        assert!(
            std::env::var_os("S2SPEC_REQUIRE_PEERS").is_none(),
            "chromedriver is not installed"
        );
        println!("chromedriver is not installed: nothing is tested");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("file://{}", report(folder.path()).display());
    browser.open(&url);
    everything_is_there(&browser);
    filters_narrow_the_list(&browser);
    a_cell_opens_its_case(&browser, &url);
    it_fits(&browser);
    it_is_accessible(&browser);
    assert_eq!(browser.run("return window.wrong;"), json!([]));
}

fn everything_is_there(browser: &Browser) {
    let title = browser.run("return document.title;");
    assert!(
        title.to_string().contains("s2spec: reference-proxy"),
        "{title}"
    );
    for section in ["target", "first", "requirements", "matrix", "cases"] {
        let script = format!("return document.querySelectorAll('section#{section}').length;");
        assert_eq!(browser.run(&script), 1, "{section}");
    }
    let headings = browser.run("return document.getElementById('matrix').textContent;");
    let headings = headings.to_string();
    assert!(
        headings.contains("What the failures have in common"),
        "{headings}"
    );
}

fn filters_narrow_the_list(browser: &Browser) {
    let all = browser.shown();
    let choose = |id: &str, to: &str| {
        browser.run(&format!(
            "const one = document.getElementById('{id}'); one.value = '{to}'; \
             one.dispatchEvent(new Event('input', {{bubbles: true}}));"
        ));
    };
    choose("verdict", "fail");
    let failed = browser.shown();
    assert!(0 < failed && failed < all, "{failed} of {all}");
    choose("direction", "inbound");
    let inbound = browser.shown();
    assert!(0 < inbound && inbound < failed, "{inbound} of {failed}");
    choose("text", "no such case");
    assert_eq!(browser.shown(), 0);
    browser.run_to_the_end(
        "const done = arguments[0]; document.querySelector('button[type=reset]').click(); setTimeout(done);",
    );
    assert_eq!(browser.shown(), all);
}

fn a_cell_opens_its_case(browser: &Browser, url: &str) {
    const CASE: &str =
        "const one = document.getElementById(decodeURIComponent(location.hash.slice(1)));";
    let is_open = format!("{CASE} return one.open;");
    let link =
        browser.run("return document.querySelector('table.heat a.v-fail').getAttribute('href');");
    browser.run_to_the_end(
        "const done = arguments[0]; addEventListener('hashchange', () => setTimeout(done)); \
         document.querySelector('table.heat a.v-fail').click();",
    );
    assert_eq!(browser.run(&is_open), true, "{link}");
    browser.open("about:blank");
    browser.open(&format!("{url}{}", link.as_str().expect("a link")));
    assert_eq!(browser.run(&is_open), true, "{link}");
    let steps = browser.run(&format!(
        "{CASE} return one.querySelectorAll('.chart li').length;"
    ));
    assert!(steps.as_u64().expect("a number") > 5, "{steps}");
    let lanes = browser.run(&format!(
        "{CASE} return one.querySelector('.chart .ends').textContent;"
    ));
    assert_eq!(lanes, "inner sidetargetDNSpartner", "{link}");
}

fn it_fits(browser: &Browser) {
    for width in WIDTHS {
        browser.resize(width);
        let over = browser.run(
            "return document.documentElement.scrollWidth - document.documentElement.clientWidth;",
        );
        assert!(
            over.as_i64().expect("a number") <= 0,
            "{over} too wide at {width}"
        );
    }
}

/// By axe-core, whose file a variable names: nothing serious is wrong.
fn it_is_accessible(browser: &Browser) {
    let Some(file) = std::env::var_os("S2SPEC_AXE") else {
        println!("S2SPEC_AXE does not name axe.min.js: accessibility is not tested");
        return;
    };
    let axe = std::fs::read_to_string(file).expect("it can be read");
    browser.run(&axe);
    let found = browser.run_to_the_end(
        "const done = arguments[0]; axe.run(document, {resultTypes: ['violations']}).then((found) => done(found.violations \
         .filter((one) => ['serious', 'critical'].includes(one.impact)) \
         .map((one) => one.id + ': ' + one.help + ': ' + one.nodes[0].html)));",
    );
    assert_eq!(found, json!([]));
}
