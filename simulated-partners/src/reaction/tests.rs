//! Accepted and rejected reactions.

use super::*;

#[derive(Deserialize)]
struct File {
    reaction: Reaction,
}

fn read(text: &str) -> Result<Reaction, String> {
    toml::from_str::<File>(&format!("[reaction]\n{text}"))
        .map(|file| file.reaction)
        .map_err(|error| error.message().to_owned())
}

fn titles(text: &str) -> Vec<String> {
    let reaction = read(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    mistakes(&reaction, &|_| 0..0)
        .into_iter()
        .map(|wrong| wrong.title)
        .collect()
}

/// One mistake in the first, none in the second.
fn refuses(wrong: &str, title: &str, right: &str) {
    assert_eq!(titles(wrong), [title]);
    assert_eq!(titles(right), [""; 0]);
}

#[test]
fn every_word_is_read_as_it_is_written() {
    for &when in When::ALL {
        let reaction = read(&format!("when = '{}'\ndo = ['no-reply']", when.word()));
        assert_eq!(reaction.map(|reaction| reaction.when), Ok(when));
    }
    let actions = [
        "{ send = '<a/>' }",
        "{ send-bytes = 'c0 af' }",
        "{ repeat = { send = '{n}', times = 3 } }",
        "{ split = 1 }",
        "'flush'",
        "{ header-without = ['id'] }",
        "'features'",
        "{ wait = 50 }",
        "{ wait-for = 'x' }",
        "{ later = 'x' }",
        "{ raise = 'x' }",
        "{ capture = { name = 'k', value = '{key}' } }",
        "{ await = 'answer' }",
        "'stop-reading'",
        "'shutdown-write'",
        "'start-tls'",
        "'close'",
        "'close-tcp'",
        "'reset'",
        "'stay-silent'",
        "'no-reply'",
        "'break-tls'",
        "'legacy-tls'",
        "'proceed'",
    ];
    for action in actions {
        let reaction = read(&format!("when = 'stanza'\ndo = [{action}]"));
        let word = reaction.map(|reaction| reaction.actions[0].as_ref().to_owned());
        assert!(word.is_ok_and(|word| action.contains(&word)), "{action}");
    }
    let filtered = read(
        "when = 'auth'\non = 'outbound'\nstage = 'secured'\nnth = 2\nconnection = 1\ndo = ['no-reply']",
    );
    assert!(
        filtered.is_ok_and(|reaction| reaction.on == Some(ConnectionKind::Outbound)
            && reaction.stage == Some(Stage::Secured)
            && reaction.nth == Some(2)
            && reaction.connection == Some(1))
    );
}

#[test]
fn unknown_words_are_refused() {
    for text in [
        "when = 'later'\ndo = ['no-reply']",
        "when = 'auth'\ndo = ['sleep']",
        "when = 'auth'\nat = 3\ndo = ['no-reply']",
        "when = 'auth'\non = 'both'\ndo = ['no-reply']",
        "when = 'auth'\ndo = [{ await = 'godot' }]",
        "when = 'auth'\ndo = [{ repeat = { send = 'x' } }]",
        "when = 'auth'\ndo = [{ wait = -1 }]",
    ] {
        assert!(read(text).is_err(), "{text}");
    }
}

#[test]
fn a_list_ends_with_its_last_action() {
    // Keys have places of different lengths.
    let place = |key: &str| 0..key.len();
    let wrong = read("when = 'auth'\ndo = ['close', { send = 'x' }]");
    let found = wrong.map(|one| mistakes(&one, &place)).unwrap_or_default();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].span, place("do.0"));
    assert_eq!(found[0].also, [(place("do.1"), "never done".to_owned())]);
    assert_eq!(
        titles("when = 'auth'\ndo = [{ send = 'x' }, 'close']"),
        [""; 0]
    );
    refuses(
        "when = 'auth'\ndo = []",
        "a reaction without actions",
        "when = 'auth'\ndo = ['no-reply']",
    );
    refuses(
        "when = 'auth'\ndo = ['shutdown-write', { send = 'x' }]",
        "nothing can be sent after `shutdown-write`",
        "when = 'auth'\ndo = ['shutdown-write', { raise = 'x' }]",
    );
}

#[test]
fn filters_have_to_fit_the_point() {
    refuses(
        "when = 'auth'\nnth = 0\ndo = ['no-reply']",
        "`nth` counts from 1",
        "when = 'auth'\nnth = 1\ndo = ['no-reply']",
    );
    refuses(
        "when = 'accepted'\non = 'inbound'\ndo = ['no-reply']",
        "`accepted` is never reached on such a connection",
        "when = 'accepted'\non = 'outbound'\ndo = ['no-reply']",
    );
    refuses(
        "when = 'connected'\non = 'outbound'\ndo = ['no-reply']",
        "`connected` is never reached on such a connection",
        "when = 'connected'\non = 'verification'\ndo = ['no-reply']",
    );
}

#[test]
fn actions_have_to_fit_the_point() {
    refuses(
        "when = 'stanza'\ndo = ['features']",
        "not possible at `stanza`",
        "when = 'header'\ndo = ['features']",
    );
    refuses(
        "when = 'tls-failed'\ndo = [{ send = 'x' }]",
        "not possible at `tls-failed`: the connection is gone",
        "when = 'tls-failed'\ndo = [{ raise = 'x' }]",
    );
    refuses(
        "when = 'auth'\ndo = [{ await = 'header' }, 'proceed']",
        "`await` has no effect before `proceed`",
        "when = 'auth'\ndo = [{ await = 'header' }]",
    );
    refuses(
        "when = 'auth'\non = 'outbound'\ndo = [{ await = 'success' }]",
        "a listening partner does not wait for this",
        "when = 'challenge-received'\non = 'inbound'\ndo = [{ await = 'success' }]",
    );
}

#[test]
fn contents_have_to_make_sense() {
    refuses(
        "when = 'auth'\ndo = [{ send-bytes = 'c0 a' }]",
        "`c0 a` is no hexadecimal",
        "when = 'auth'\ndo = [{ send-bytes = 'C0af 00' }]",
    );
    refuses(
        "when = 'auth'\ndo = [{ send-bytes = ' ' }]",
        "no bytes",
        "when = 'auth'\ndo = [{ send-bytes = '00' }]",
    );
    refuses(
        "when = 'auth'\ndo = [{ repeat = { send = 'x', times = 100000001 } }]",
        "`times = 100000001` is out of bounds",
        "when = 'auth'\ndo = [{ repeat = { send = 'x', times = 100000000 } }]",
    );
    refuses(
        "when = 'auth'\ndo = [{ repeat = { send = 'x', times = 2, every = 0 } }]",
        "`every = 0` is out of bounds",
        "when = 'auth'\ndo = [{ repeat = { send = 'x', times = 2, every = 1 } }]",
    );
    refuses(
        "when = 'auth'\ndo = [{ repeat = { send = '', times = 1 } }]",
        "nothing to repeat",
        "when = 'auth'\ndo = [{ repeat = { send = ' ', times = 1 } }]",
    );
    refuses(
        "when = 'auth'\ndo = [{ wait = 0 }]",
        "`wait = 0` is out of bounds",
        "when = 'auth'\ndo = [{ wait = 1 }]",
    );
    refuses(
        "when = 'auth'\ndo = [{ capture = { name = 'My key', value = '' } }]",
        "`My key` is no name for the board",
        "when = 'auth'\ndo = [{ capture = { name = 'my-key-2', value = '' } }]",
    );
    refuses(
        "when = 'auth'\ndo = [{ send = '{abc*9999999}' }]",
        "a text that is too long",
        "when = 'auth'\ndo = [{ send = '{abc*999999}' }]",
    );
    refuses(
        "when = 'header'\ndo = [{ header-without = ['lang'] }]",
        "a stream header has no attribute `lang`",
        "when = 'header'\ndo = [{ header-without = ['xml:lang'] }]",
    );
}

#[test]
fn texts_can_be_seen_and_changed() {
    let reaction = read(
        "when = 'auth'\ndo = [{ send = '{bad}' }, { capture = { name = 'k', value = '{bad}' } }, \
         { repeat = { send = '{n}', times = 2 } }, { wait-for = 'w' }, 'close']",
    );
    let Ok(reaction) = reaction else {
        panic!("it is right");
    };
    assert_eq!(
        reaction.texts().collect::<Vec<_>>(),
        ["{bad}", "k", "{bad}", "{n}", "w"]
    );
    let changed = reaction.map_texts(|text| text.replace("{bad}", "<x/>"));
    assert_eq!(
        changed.texts().collect::<Vec<_>>(),
        ["<x/>", "k", "<x/>", "{n}", "w"]
    );
    assert_eq!(changed.when, reaction.when);
}

#[cfg(feature = "schema")]
#[test]
fn the_schema_knows_the_words() {
    let schema = serde_json::to_string(&schemars::schema_for!(Reaction)).unwrap_or_default();
    for &when in When::ALL {
        assert!(schema.contains(&format!("\"{}\"", when.word())), "{when:?}");
    }
    for word in [
        "send-bytes",
        "wait-for",
        "start-tls",
        "additionalProperties",
    ] {
        assert!(schema.contains(&format!("\"{word}\"")), "{word}");
    }
}
