//! The domains of a case's partners: names of its own, or some that the target takes partners from.

use std::collections::BTreeMap;
use std::fmt;

use super::names::insert;
use super::script::Script;
use super::{Case, Direction};

/// The domains that a target takes partners from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AllowList {
    /// It takes all.
    #[default]
    Any,
    /// All below this one.
    Below(String),
    /// These alone, so cases share them.
    Only(Vec<String>),
}

/// The domains of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domains {
    /// What `{domain}` stands for.
    base: String,
    /// Domains of partners that the script does not derive from it, by the partner's name.
    others: BTreeMap<String, String>,
    /// Of the partner that gets through afterwards.
    living: String,
    /// Of the partner whose ping ends the wait for another's.
    control: String,
}

/// Why a target's allow list is too small for a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TooFew {
    /// It has fewer domains than the case has partners.
    Number {
        /// What the case takes.
        needed: usize,
        /// What there is.
        listed: usize,
    },
    /// It has none of these forms, such as `child.{domain}`, for the same `{domain}`.
    Forms(Vec<String>),
}

impl fmt::Display for TooFew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number { needed, listed } => write!(
                f,
                "it takes {needed} partner domains, and the target file names {listed}"
            ),
            Self::Forms(forms) => write!(
                f,
                "it takes partner domains that belong together, {}, and the target file names \
                 none such",
                forms.join(" and ")
            ),
        }
    }
}

/// Stands for the case's domain in texts.
const BASE: &str = "{domain}";

impl Domains {
    /// All derived from one that belongs to the case.
    pub fn below(script: &Script, base: &str) -> Self {
        let own = |name: &str| format!("{name}.{base}");
        let roles = script.roles.iter().filter(|role| role.any_domain);
        Self {
            others: roles
                .map(|role| (role.name.to_string(), own(&role.name)))
                .collect(),
            living: own("alive"),
            control: own("control"),
            base: base.to_owned(),
        }
    }

    /// What `{domain}` stands for.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The domain of a partner that could have any.
    pub fn other(&self, role: &str) -> Option<&str> {
        self.others.get(role).map(String::as_str)
    }

    /// The domain of the partner that gets through afterwards.
    pub fn living(&self) -> &str {
        &self.living
    }

    /// The domain of the partner whose ping ends the wait for another's.
    pub fn control(&self) -> &str {
        &self.control
    }
}

impl AllowList {
    /// The domains of a case, among those of the list that are free. Without a link to the inner side
    /// (`hidden`), some cases need one more partner.
    ///
    /// # Errors
    /// What is missing.
    pub fn assign(
        &self,
        case: &Case,
        hidden: bool,
        is_free: impl Fn(&str) -> bool,
    ) -> Result<Domains, TooFew> {
        let script = &*case.script;
        let listed = match self {
            Self::Any => return Ok(Domains::below(script, &case.domain())),
            Self::Below(parent) => return Ok(Domains::below(script, &case.domain_below(parent))),
            Self::Only(listed) => listed,
        };
        let forms = forms(script);
        let control = hidden && takes_control(case);
        let spare = script.roles.iter();
        let spare: Vec<&str> = spare
            .filter(|role| role.any_domain && !role.unlisted)
            .map(|role| &*role.name)
            .collect();
        let needed = forms.len() + spare.len() + usize::from(script.alive) + usize::from(control);
        let too_few = TooFew::Number {
            needed,
            listed: listed.len(),
        };
        let own = case.domain();
        let bases: Vec<&str> = match forms.first() {
            // No partner of it has to be let in.
            None => vec![&own],
            Some(form) => listed.iter().filter_map(|one| base_of(form, one)).collect(),
        };
        let usable = |name: &String| listed.contains(name) && is_free(name);
        let fits = |base: &&str| forms.iter().all(|form| usable(&form.replace(BASE, base)));
        let Some(base) = bases.into_iter().find(fits) else {
            return Err(if needed > listed.len() {
                too_few
            } else {
                TooFew::Forms(forms)
            });
        };
        let taken: Vec<String> = forms.iter().map(|form| form.replace(BASE, base)).collect();
        let mut rest = listed
            .iter()
            .filter(|one| is_free(one) && !taken.contains(one));
        let mut next = || rest.next().cloned().ok_or_else(|| too_few.clone());
        let mut domains = Domains::below(script, base);
        for name in spare {
            domains.others.insert(name.to_owned(), next()?);
        }
        if script.alive {
            domains.living = next()?;
        }
        if control {
            domains.control = next()?;
        }
        Ok(domains)
    }

    /// Which domains of the list a case has with this assignment, or all of its own.
    pub fn taken(&self, case: &Case, hidden: bool, domains: &Domains) -> Vec<String> {
        let script = &*case.script;
        let mut taken: Vec<String> = forms(script)
            .iter()
            .map(|form| form.replace(BASE, domains.base()))
            .collect();
        let others = script.roles.iter().filter(|role| !role.unlisted);
        taken.extend(others.filter_map(|role| domains.other(&role.name).map(str::to_owned)));
        taken.extend(script.alive.then(|| domains.living.clone()));
        taken.extend((hidden && takes_control(case)).then(|| domains.control.clone()));
        taken
    }
}

/// Whether a case may have to wait for a partner that gets an answer.
fn takes_control(case: &Case) -> bool {
    case.script.by_oracle() && case.direction == Direction::Inbound && case.row.policy().valid()
}

/// The domains of partners that the target has to take, as the script writes them: each once, and only
/// those that follow from the case's own.
fn forms(script: &Script) -> Vec<String> {
    let mut forms = Vec::new();
    let roles = script.roles.iter();
    for role in roles.filter(|role| !role.any_domain && !role.unlisted) {
        let form = insert(&role.domain, &script.values);
        if form.contains(BASE) && !forms.contains(&form) {
            forms.push(form);
        }
    }
    forms
}

/// What stands for the case's domain in a name of this form.
fn base_of<'a>(form: &str, name: &'a str) -> Option<&'a str> {
    let (before, after) = form.split_once(BASE)?;
    let base = name.strip_prefix(before)?.strip_suffix(after)?;
    Some(base).filter(|base| !base.is_empty())
}

#[cfg(test)]
mod tests {
    use simulated_partners::persona::builtin;

    use super::*;
    use crate::matrix::cases;
    use crate::scenario::Library;

    fn only(listed: &[&str]) -> AllowList {
        AllowList::Only(listed.iter().map(|&one| one.to_owned()).collect())
    }

    fn case(id: &str) -> Case {
        let mut all = cases(&builtin());
        all.extend(Library::builtin().cases());
        let found = all.into_iter().find(|case| case.id == id);
        found.unwrap_or_else(|| panic!("no case {id}"))
    }

    #[test]
    fn without_a_list_each_case_has_a_name_of_its_own() {
        let case = case("personas/row07/google-talk/inbound");
        let any = AllowList::Any.assign(&case, true, |_| true);
        let name = "inbound.google-talk.row07.personas.example";
        assert_eq!(any.map(|domains| domains.base), Ok(name.to_owned()));
        let below = AllowList::Below("lab.example.org".to_owned());
        let domains = below.assign(&case, true, |_| true).expect("any number");
        let name = "inbound.google-talk.row07.personas.lab.example.org";
        assert_eq!(domains.base(), name);
        let taken = below.taken(&case, true, &domains);
        assert_eq!(taken, [name.to_owned(), format!("control.{name}")]);
    }

    #[test]
    fn a_case_takes_domains_that_are_free() {
        let case = case("personas/row07/google-talk/inbound");
        let list = only(&["a.example", "b.example", "c.example"]);
        let domains = list
            .assign(&case, true, |one| one != "a.example")
            .expect("two are free");
        assert_eq!(domains.base(), "b.example");
        assert_eq!(domains.control(), "c.example");
        let alone = list.assign(&case, false, |_| true).expect("one is enough");
        assert_eq!(list.taken(&case, false, &alone), ["a.example"]);
    }

    #[test]
    fn a_list_that_is_too_small_says_how_many_it_takes() {
        let case = case("personas/row07/google-talk/inbound");
        let too_few = only(&["a.example"]).assign(&case, true, |_| true);
        assert_eq!(
            too_few.map_err(|why| why.to_string()),
            Err("it takes 2 partner domains, and the target file names 1".to_owned())
        );
    }

    #[test]
    fn a_name_that_follows_from_another_has_to_be_in_the_list() {
        let case = case("certificates/CRT-12-wildcards-of-a-client/control");
        let forms = ["child.{domain}".to_owned(), BASE.to_owned()];
        let plain = only(&["a.example", "b.example", "c.example", "d.example"]);
        let without = plain.assign(&case, false, |_| true);
        assert_eq!(without, Err(TooFew::Forms(forms.into())));
        let fitting = only(&["a.example", "b.example", "child.b.example", "c.example"]);
        let domains = fitting.assign(&case, false, |_| true).expect("a child");
        assert_eq!(domains.base(), "b.example");
        let taken = fitting.taken(&case, false, &domains);
        assert_eq!(
            taken,
            ["child.b.example", "b.example", "a.example", "c.example"]
        );
    }

    #[test]
    fn partners_of_any_domain_are_named_by_their_role_alone() {
        for case in Library::builtin().cases() {
            let text = format!("{:?}", case.script);
            for role in case.script.roles.iter().filter(|role| role.any_domain) {
                let own = format!("domain: \"{}.{BASE}\"", role.name);
                let text = text.replace(&own, "");
                let literal = format!("{}.{BASE}", role.name);
                let named = text.match_indices(&literal).any(|(at, _)| {
                    let before = text[..at].chars().next_back();
                    before.is_none_or(|c| !c.is_alphanumeric() && c != '-' && c != '.')
                });
                assert!(!named, "{}: {literal}", case.id);
            }
        }
    }
}
