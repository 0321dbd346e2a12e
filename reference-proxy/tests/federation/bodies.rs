//! What messages say is in the log only where the configuration asks for it.

use crate::log::Log;
use crate::support::Net;

const A: &str = "alpha.example";
const B: &str = "beta.example";

fn message(from: &str, to: &str, body: &str) -> String {
    format!("<message from='u@{from}' to='v@{to}'><body>{body}</body></message>")
}

#[tokio::test]
async fn bodies_are_logged_only_while_the_setting_is_on() {
    let log = Log::default();
    let _logging = log.listen();
    let net = Net::new().await;
    let mut settings = net.settings(A, B, 9);
    let (alpha, mut alpha_gateway) = net.station(&settings).await;
    let (beta, mut beta_gateway) = net.station(&net.settings(B, A, 9)).await;
    // A line that another test reached while this log was being set is taken for one that nobody wants.
    tracing::callsite::rebuild_interest_cache();
    let off = settings.top.clone();
    for (setting, is_on) in [
        ("", false),
        ("log-message-bodies = true\n", true),
        ("", false),
    ] {
        settings.top = format!("{off}{setting}");
        alpha.take_in(settings.config()).expect("taken in");
        log.clear();
        alpha_gateway
            .send(&message(A, B, "one &amp; private\n"))
            .await;
        beta_gateway.expect("</message>").await;
        beta_gateway.send(&message(B, A, "another private")).await;
        alpha_gateway.expect("</message>").await;
        let presence = format!("<presence from='u@{A}' to='v@{B}'><show>private</show></presence>");
        alpha_gateway.send(&presence).await;
        beta_gateway.expect("</presence>").await;
        let lines = log.lines().into_iter();
        let private: Vec<String> = lines.filter(|line| line.contains("private")).collect();
        if !is_on {
            assert!(private.is_empty(), "{private:?}");
            continue;
        }
        let [there, back] = &private[..] else {
            panic!("{private:?}");
        };
        assert!(there.starts_with("INFO") && back.starts_with("INFO"));
        assert!(there.contains(r#"body="one & private\n""#), "{there}");
        assert!(there.contains("u@alpha.example") && there.contains("v@beta.example"));
        assert!(back.contains(r#"body="another private""#), "{back}");
    }
    drop((alpha_gateway, beta_gateway));
    tokio::join!(alpha.stop(), beta.stop());
}
