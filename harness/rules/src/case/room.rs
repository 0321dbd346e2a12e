//! A room of the inner side: what comes in once goes out to many, as in a chat room.

use serde::Deserialize;
use simulated_partners::stanza::domain_of;
use simulated_partners::wire::Element;

/// An address of the inner side that sends on what it receives, to all members.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Room {
    /// Where stanzas for the room go, with placeholders: `hall@{target}`.
    pub address: String,
    /// Who gets each of them, with placeholders. They come from the room's address, with the user's part of
    /// the sender's as resource.
    pub members: Vec<String>,
}

impl Room {
    /// The copies of a stanza for the members; none if it is not for the room. A room knows no errors, and
    /// hears nothing from its own domain, so that it does not answer itself.
    pub fn copies(&self, stanza: &Element, fill: &dyn Fn(&str) -> String) -> Vec<Element> {
        let address = fill(&self.address);
        let from = stanza.attribute("from").unwrap_or_default();
        let is_error = stanza.attribute("type") == Some("error");
        let is_own = domain_of(from) == domain_of(&address);
        if stanza.attribute("to") != Some(&address) || is_error || is_own {
            return Vec::new();
        }
        let nick = from.split(['@', '/']).next().unwrap_or_default();
        let occupant = format!("{address}/{nick}");
        let copy = |member: &String| {
            stanza
                .clone()
                .attr("from", &occupant)
                .attr("to", &fill(member))
        };
        self.members.iter().map(copy).collect()
    }
}

#[cfg(test)]
mod tests {
    use simulated_partners::wire::NS_SERVER;

    use super::*;

    #[test]
    fn each_member_gets_a_copy_of_what_is_for_the_room() {
        let room = Room {
            address: "hall@{target}".to_owned(),
            members: vec!["a@one.example".to_owned(), "b@{domain}".to_owned()],
        };
        let fill = |text: &str| {
            let text = text.replace("{target}", "t.example");
            text.replace("{domain}", "two.example")
        };
        let sent = |from: &str, to: &str, kind: &str| {
            let message = Element::new(NS_SERVER, "message").attr("from", from);
            let message = message.attr("to", to).attr("type", kind);
            let copies = room.copies(&message, &fill);
            let shown = copies.iter().map(|copy| {
                let of = |name| copy.attribute(name).unwrap_or_default().to_owned();
                format!("{} to {} ({})", of("from"), of("to"), of("type"))
            });
            shown.collect::<Vec<_>>()
        };
        let all = [
            "hall@t.example/romeo to a@one.example (groupchat)",
            "hall@t.example/romeo to b@two.example (groupchat)",
        ];
        let romeo = "romeo@two.example/x";
        assert_eq!(sent(romeo, "hall@t.example", "groupchat"), all);
        assert_eq!(sent(romeo, "juliet@t.example", "groupchat"), [""; 0]);
        assert_eq!(sent(romeo, "hall@t.example", "error"), [""; 0]);
        assert_eq!(sent("x@t.example", "hall@t.example", "groupchat"), [""; 0]);
    }
}
