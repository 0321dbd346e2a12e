//! `certificate check`.

use std::path::{Path, PathBuf};

use reference_proxy::config::{Domain, Draft, Method};
use reference_proxy::fits_key;
use serde_json::{Value, json};

use super::describe::Described;
use super::read;
use super::verdict::{Use, Verdict, Way, authorities, judge};
use crate::error::{Error, Exit, chained};
use crate::output::{folded, print};
use crate::{store, value};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Certificate, the domain's own first, then the intermediate ones (PEM)
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Only as this served domain; may be given several times
    #[arg(long, value_name = "DOMAIN", value_parser = value::domain)]
    domain: Vec<Domain>,
    /// As the certificate of the internal side
    #[arg(long, conflicts_with = "domain")]
    internal: bool,
    /// Its key, which has to fit
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Who may have issued it [default: the authorities that the side itself trusts]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn command(config: &Path, args: &Args) -> Result<Exit, Error> {
    let (_, draft) = store::read(config)?;
    let chain = read(&args.file)?;
    let used = match args.internal {
        true => Use::Internal,
        false => Use::Domains(value::served(&draft, &args.domain)?),
    };
    let file = args.file.display();
    let unusable = |error| Error::Usage(format!("{file}: {}", chained(&error)));
    if let Some(key) = &args.key {
        let unusable = |error| {
            let key = key.display();
            Error::Usage(format!("{file} with {key}: {}", chained(&error)))
        };
        fits_key(&chain, &read(key)?).map_err(unusable)?;
    }
    let authorities = authorities(config, &draft, args.ca.as_deref(), args.internal)?;
    let verdict = judge(&chain, &authorities, &used).map_err(unusable)?;
    let described = Described::of(&chain);
    let shown = match args.json {
        true => format!(
            "{:#}\n",
            in_json(described.as_ref(), &verdict, &draft, &used)
        ),
        false => in_text(described.as_ref(), &verdict, &draft, &used),
    };
    print(&shown)?;
    let sasl = verdict.in_the_way(Method::SaslTls, false);
    Ok(match sasl.is_empty() {
        true => Exit::Good,
        false => Exit::Wanting,
    })
}

fn in_text(described: Option<&Described>, verdict: &Verdict, draft: &Draft, used: &Use) -> String {
    let mut text = described.map(Described::list).unwrap_or_default();
    text.push('\n');
    for line in &verdict.lines {
        let met = match (&line.broken, line.refused) {
            (None, _) => "yes",
            (Some(_), false) => "no",
            (Some(_), true) => "NO",
        };
        text.push_str(&format!("{met:3}  {}\n", line.rule));
        if let Some(why) = &line.broken {
            text.push_str(&folded(why, "     "));
        }
    }
    if matches!(used, Use::Internal) {
        return text;
    }
    text.push_str("\nWill it do?\n");
    for partner in &draft.partners {
        text.push_str(&format!("{}\n", partner.domain));
        for way in verdict.ways(partner) {
            text.push_str(&folded(&in_words(&way), "     "));
        }
    }
    let insisting = Way {
        name: "SASL over TLS",
        in_the_way: verdict.in_the_way(Method::SaslTls, true),
    };
    text.push_str("partners that insist on the purpose client, as AOL did\n");
    text.push_str(&folded(&in_words(&insisting), "     "));
    text
}

fn in_words(way: &Way<'_>) -> String {
    match way.in_the_way.as_slice() {
        [] => format!("{}: yes", way.name),
        rules => format!("{}: no; not met: {}", way.name, rules.join(", ")),
    }
}

fn in_json(described: Option<&Described>, verdict: &Verdict, draft: &Draft, used: &Use) -> Value {
    let rules = verdict.lines.iter().map(|line| {
        json!({
            "Rule": line.rule,
            "Met": line.broken.is_none(),
            "Refused": line.refused,
            "Text": line.broken,
        })
    });
    let partners = draft.partners.iter().flat_map(|partner| {
        let ways = verdict.ways(partner).into_iter();
        ways.map(|way| {
            json!({
                "Identity": partner.domain.as_str(),
                "Method": way.name,
                "Met": way.in_the_way.is_empty(),
                "Rules": way.in_the_way,
            })
        })
    });
    let partners: Vec<Value> = match used {
        Use::Domains(_) => partners.collect(),
        Use::Internal => Vec::new(),
    };
    json!({
        "Certificate": described.map(Described::json),
        "Rules": rules.collect::<Vec<_>>(),
        "Partners": partners,
        "PartnersThatInsistOnClientAuth": verdict.in_the_way(Method::SaslTls, true).is_empty(),
    })
}
