use super::*;

pub(super) fn subject(row: u8) -> Subject {
    Subject {
        name: "a double".to_owned(),
        domain: "im.example".to_owned(),
        address: ([127, 0, 0, 1], 9).into(),
        direct_tls: None,
        inner: None,
        row: Row::new(row),
        profile: Profile::default(),
        roots: Arc::new(RootCertStore::empty()),
        world: World::System { remote: false },
        partners: [
            "good.doctor.example".to_owned(),
            "unknown.doctor.example".to_owned(),
        ],
        listen: [127, 0, 0, 1].into(),
    }
}
