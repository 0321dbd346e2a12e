use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, MessageType, OpCode, Query as Question, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::*;

const PATIENCE: Duration = Duration::from_secs(5);

fn question(name: &str, kind: RecordType) -> Vec<u8> {
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    message.add_query(Question::query(Name::from_ascii(name).unwrap(), kind));
    message.to_vec().unwrap()
}

async fn udp(dns: &Dns, name: &str, kind: RecordType) -> Message {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket
        .send_to(&question(name, kind), dns.address())
        .await
        .unwrap();
    let mut buffer = [0; 4096];
    let length = timeout(PATIENCE, socket.recv(&mut buffer))
        .await
        .expect("an answer")
        .unwrap();
    Message::from_vec(&buffer[..length]).unwrap()
}

async fn tcp(dns: &Dns, name: &str, kind: RecordType) -> Message {
    let mut socket = TcpStream::connect(dns.address()).await.unwrap();
    let question = question(name, kind);
    let length = u16::try_from(question.len()).unwrap();
    socket.write_u16(length).await.unwrap();
    socket.write_all(&question).await.unwrap();
    let length = timeout(PATIENCE, socket.read_u16())
        .await
        .expect("an answer")
        .unwrap();
    let mut answer = vec![0; usize::from(length)];
    socket.read_exact(&mut answer).await.unwrap();
    Message::from_vec(&answer).unwrap()
}

fn code(message: &Message) -> ResponseCode {
    message.metadata.response_code
}

fn text(message: &Message) -> Vec<String> {
    message
        .answers
        .iter()
        .map(|record| record.data.to_string())
        .collect()
}

fn has_soa(message: &Message) -> bool {
    message
        .authorities
        .iter()
        .any(|record| matches!(record.data, RData::SOA(_)))
}

fn address(text: &str) -> Data {
    Data::Address(text.parse().unwrap())
}

fn alias(target: &str) -> Answer {
    Answer::Records(vec![Data::Alias(target.into())])
}

#[tokio::test]
async fn a_server_is_found_by_srv_and_address_over_both_transports() {
    let dns = Dns::start().unwrap();
    let port: SocketAddr = "127.0.0.1:5269".parse().unwrap();
    dns.records().server("a.example", port).unwrap();

    let srv = udp(&dns, "_xmpp-server._tcp.a.example.", RecordType::SRV).await;
    assert_eq!(text(&srv), ["0 0 5269 xmpp.a.example."]);
    assert!(srv.metadata.authoritative);
    let host = tcp(&dns, "xmpp.A.example.", RecordType::A).await;
    assert_eq!(text(&host), ["127.0.0.1"]);
    assert_eq!(host.answers[0].ttl, 0);

    let port: SocketAddr = "[::1]:5270".parse().unwrap();
    dns.records().server("b.example", port).unwrap();
    let host = udp(&dns, "xmpp.b.example.", RecordType::AAAA).await;
    assert_eq!(text(&host), ["::1"]);
}

#[tokio::test]
async fn missing_names_are_answered_with_an_soa() {
    let dns = Dns::start().unwrap();
    let port: SocketAddr = "127.0.0.1:5269".parse().unwrap();
    dns.records().server("a.example", port).unwrap();

    let unknown = udp(&dns, "b.example.", RecordType::SRV).await;
    assert_eq!(code(&unknown), ResponseCode::NXDomain);
    assert!(has_soa(&unknown));
    // Exists because of the names below it.
    let between = udp(&dns, "_tcp.a.example.", RecordType::A).await;
    assert_eq!(code(&between), ResponseCode::NoError);
    assert!(between.answers.is_empty() && has_soa(&between));
    let other_type = udp(&dns, "xmpp.a.example.", RecordType::AAAA).await;
    assert_eq!(code(&other_type), ResponseCode::NoError);
    assert!(other_type.answers.is_empty() && has_soa(&other_type));
    let found = udp(&dns, "xmpp.a.example.", RecordType::A).await;
    assert!(!found.answers.is_empty() && !has_soa(&found));
}

#[tokio::test]
async fn aliases_are_followed_and_loops_end() {
    let dns = Dns::start().unwrap();
    let records = dns.records();
    records
        .set("www.example", Kind::Cname, alias("host.example"))
        .unwrap();
    let addresses = Answer::Records(vec![address("127.0.0.2")]);
    records.set("host.example", Kind::A, addresses).unwrap();
    let found = udp(&dns, "www.example.", RecordType::A).await;
    assert_eq!(text(&found), ["host.example.", "127.0.0.2"]);
    let itself = udp(&dns, "www.example.", RecordType::CNAME).await;
    assert_eq!(text(&itself), ["host.example."]);

    records
        .set("lost.example", Kind::Cname, alias("nowhere.example"))
        .unwrap();
    let lost = udp(&dns, "lost.example.", RecordType::A).await;
    assert_eq!(code(&lost), ResponseCode::NXDomain);
    assert!(has_soa(&lost));

    records
        .set("x.example", Kind::Cname, alias("y.example"))
        .unwrap();
    records
        .set("y.example", Kind::Cname, alias("x.example"))
        .unwrap();
    let looping = udp(&dns, "x.example.", RecordType::A).await;
    assert_eq!(code(&looping), ResponseCode::NoError);
    assert!(looping.answers.len() <= 8);
}

#[tokio::test]
async fn a_service_can_be_denied_by_a_dot() {
    let dns = Dns::start().unwrap();
    let none = Data::Service {
        priority: 0,
        weight: 0,
        port: 0,
        target: ".".into(),
    };
    dns.records()
        .set(
            "_xmpp-server._tcp.a.example",
            Kind::Srv,
            Answer::Records(vec![none]),
        )
        .unwrap();
    let srv = udp(&dns, "_xmpp-server._tcp.a.example.", RecordType::SRV).await;
    assert_eq!(text(&srv), ["0 0 0 ."]);
}

#[tokio::test]
async fn faults_are_answered_as_set() {
    let dns = Dns::start().unwrap();
    let records = dns.records();
    for (name, answer, wanted) in [
        ("s.example", Answer::ServFail, ResponseCode::ServFail),
        ("r.example", Answer::Refused, ResponseCode::Refused),
        ("n.example", Answer::NxDomain, ResponseCode::NXDomain),
        ("d.example", Answer::NoData, ResponseCode::NoError),
    ] {
        records.set(name, Kind::Any, answer).unwrap();
        let answer = udp(&dns, &format!("{name}."), RecordType::SRV).await;
        assert_eq!(code(&answer), wanted, "{name}");
        assert!(answer.answers.is_empty());
    }
}

#[tokio::test]
async fn silence_is_logged_and_not_answered() {
    let dns = Dns::start().unwrap();
    dns.records()
        .set("q.example", Kind::Any, Answer::Silence)
        .unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let silent = question("q.example.", RecordType::A);
    socket.send_to(&silent, dns.address()).await.unwrap();
    let mut next = question("other.example.", RecordType::A);
    next[1] = 8; // Another id.
    socket.send_to(&next, dns.address()).await.unwrap();
    let mut buffer = [0; 4096];
    let length = timeout(PATIENCE, socket.recv(&mut buffer))
        .await
        .unwrap()
        .unwrap();
    let answer = Message::from_vec(&buffer[..length]).unwrap();
    assert_eq!(answer.metadata.id, 8);
    // Each query is a separate task, so the log may lag behind the answer to the other one.
    let begin = Instant::now();
    while dns.records().queries("q.example").is_empty() && begin.elapsed() < PATIENCE {
        tokio::task::yield_now().await;
    }
    assert_eq!(dns.records().queries("q.example").len(), 1);
}

#[tokio::test]
async fn an_answer_can_be_kept_for_tcp() {
    let dns = Dns::start().unwrap();
    let addresses: Vec<Data> = (1..=60).map(|n| address(&format!("127.0.1.{n}"))).collect();
    dns.records()
        .set(
            "big.example",
            Kind::A,
            Answer::RecordsOverTcp(addresses.clone()),
        )
        .unwrap();
    let cut = udp(&dns, "big.example.", RecordType::A).await;
    assert!(cut.metadata.truncation && cut.answers.is_empty());
    assert_eq!(
        tcp(&dns, "big.example.", RecordType::A).await.answers.len(),
        60
    );
    // By default, an answer is truncated if UDP has no room for it.
    dns.records()
        .set("huge.example", Kind::A, Answer::Records(addresses))
        .unwrap();
    let cut = udp(&dns, "huge.example.", RecordType::A).await;
    assert!(cut.metadata.truncation);
}

#[tokio::test]
async fn records_change_while_it_runs() {
    let dns = Dns::start().unwrap();
    let records = dns.records().clone();
    for port in [1, 2] {
        let at = SocketAddr::from(([127, 0, 0, 1], port));
        records.server("a.example", at).unwrap();
        let srv = udp(&dns, "_xmpp-server._tcp.a.example.", RecordType::SRV).await;
        assert_eq!(text(&srv), [format!("0 0 {port} xmpp.a.example.")]);
    }
    records
        .server("ba.example", "127.0.0.1:3".parse().unwrap())
        .unwrap();
    assert_eq!(records.queries("_XMPP-server._tcp.a.example").len(), 2);
    records.remove("a.example");
    assert_eq!(records.queries("_xmpp-server._tcp.a.example"), []);
    let gone = udp(&dns, "_xmpp-server._tcp.a.example.", RecordType::SRV).await;
    assert_eq!(code(&gone), ResponseCode::NXDomain);
    let neighbour = udp(&dns, "_xmpp-server._tcp.ba.example.", RecordType::SRV).await;
    assert_eq!(code(&neighbour), ResponseCode::NoError);
}

#[tokio::test]
async fn the_log_is_bounded() {
    let records = Records::default();
    let name = hickory_proto::rr::LowerName::from(Name::from_ascii("a.example.").unwrap());
    for _ in 0..100 {
        records.ask(&name, RecordType::SRV, false);
    }
    assert_eq!(records.queries("a.example").len(), 64);
    assert_eq!(records.queries_lost(), 36);
    assert_eq!(
        records.queries("a.example")[0],
        Query {
            kind: "SRV".into(),
            tcp: false
        }
    );
}

#[tokio::test]
async fn what_is_no_name_is_refused() {
    let records = Records::default();
    let long = "a".repeat(64) + ".example";
    let at = SocketAddr::from(([127, 0, 0, 1], 1));
    assert!(records.server(&long, at).is_err());
    assert!(records.set("a.example", Kind::Cname, alias(&long)).is_err());
    assert!(records.server(&long[1..], at).is_ok());
}

#[tokio::test]
async fn it_ends_when_it_is_dropped() {
    let dns = Dns::start().unwrap();
    let address = dns.address();
    assert!(Dns::start_at(address).is_err());
    drop(dns);
    let begin = Instant::now();
    while let Err(error) = Dns::start_at(address) {
        assert!(begin.elapsed() < PATIENCE, "{error}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn its_port_is_free_when_it_is_closed() {
    // At an address of its own, where no other test is given the port meanwhile.
    let own = SocketAddr::from(([127, 45, 1, 9], 0));
    let mut dns = Dns::start_at(own).unwrap();
    let address = dns.address();
    let client = TcpStream::connect(address).await.unwrap();
    for _ in 0..20 {
        dns.close().await;
        dns = Dns::start_at(address).unwrap();
    }
    drop(client);
}

#[test]
fn outside_of_a_runtime_it_is_an_error() {
    assert!(Dns::start().is_err());
}

#[tokio::test]
async fn nonsense_is_survived() {
    let dns = Dns::start().unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for nonsense in [&b""[..], b"x", &[0xff; 12], &[0; 600]] {
        socket.send_to(nonsense, dns.address()).await.unwrap();
    }
    let root = udp(&dns, ".", RecordType::SOA).await;
    assert_eq!(code(&root), ResponseCode::NXDomain);
}

/// The proxy's resolver understands it.
#[tokio::test]
async fn a_resolver_finds_the_server() {
    use hickory_resolver::TokioResolver;
    use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
    use hickory_resolver::net::runtime::TokioRuntimeProvider;

    let dns = Dns::start().unwrap();
    dns.records()
        .server("a.example", "127.0.0.1:5269".parse().unwrap())
        .unwrap();
    let mut connection = ConnectionConfig::udp();
    connection.port = dns.address().port();
    let server = NameServerConfig::new(dns.address().ip(), true, vec![connection]);
    let config = ResolverConfig::from_parts(None, vec![], vec![server]);
    let resolver =
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).build();
    let resolver = resolver.unwrap();
    let found = resolver
        .lookup("_xmpp-server._tcp.a.example.", RecordType::SRV)
        .await
        .unwrap();
    assert_eq!(found.answers().len(), 1);
    let gone = resolver.lookup("b.example.", RecordType::SRV).await;
    assert!(gone.unwrap_err().is_nx_domain());
    assert_eq!(dns.records().queries("b.example").len(), 1);
}

#[tokio::test]
async fn queries_below_a_name_are_listed_and_others_are_not() {
    let dns = Dns::start().unwrap();
    let records = dns.records();
    udp(&dns, "_xmpp-server._tcp.b.example.", RecordType::SRV).await;
    assert!(records.queries_below("a.example").is_empty());
    udp(&dns, "_xmpp-server._tcp.a.example.", RecordType::SRV).await;
    udp(&dns, "a.example.", RecordType::A).await;
    let asked: Vec<(String, String)> = records
        .queries_below("a.example")
        .into_iter()
        .map(|(name, query)| (name, query.kind))
        .collect();
    let wanted = [("a.example", "A"), ("_xmpp-server._tcp.a.example", "SRV")];
    assert_eq!(asked, wanted.map(|(a, b)| (a.to_owned(), b.to_owned())));
}

#[tokio::test]
async fn a_question_can_be_waited_for() {
    let dns = Dns::start().unwrap();
    let records = dns.records().clone();
    let waiting = tokio::spawn(async move { records.asked("wanted.example").await });
    udp(&dns, "other.example", RecordType::SRV).await;
    assert!(!waiting.is_finished());
    udp(&dns, "wanted.example", RecordType::SRV).await;
    timeout(PATIENCE, waiting).await.unwrap().unwrap();
}

#[tokio::test]
async fn what_is_set_is_listed_as_in_a_zone_file() {
    let dns = Dns::start().unwrap();
    let records = dns.records();
    let address = SocketAddr::from(([127, 0, 0, 1], 5300));
    records.server("a.example", address).unwrap();
    records
        .set("mute.a.example", Kind::Any, Answer::Silence)
        .unwrap();
    records.server("b.example", address).unwrap();
    let listed = records.listed("a.example");
    assert_eq!(listed.len(), 3, "{listed:?}");
    for (line, (start, end)) in listed.iter().zip([
        (
            "_xmpp-server._tcp.a.example",
            "SRV 0 0 5300 xmpp.a.example.",
        ),
        ("mute.a.example", "ANY ; no answer"),
        ("xmpp.a.example", "A 127.0.0.1"),
    ]) {
        assert!(line.starts_with(start) && line.ends_with(end), "{line}");
    }
    assert_eq!(records.listed("not a name.."), Vec::<String>::new());
}
