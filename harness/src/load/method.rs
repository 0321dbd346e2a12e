//! How partners authenticate.

use crate::outcome::Method;
use crate::policy::{Policy, PolicyNumber};

/// The method of a partner, where partners take turns.
pub(super) fn in_turn(methods: &[Method], partner: usize) -> Method {
    methods[partner % methods.len()]
}

/// The policy that leaves nothing but a method, on either side.
pub(super) fn only(method: Method) -> Policy {
    let row = match method {
        Method::SaslTls => 2,
        Method::TlsDialback => 13,
        Method::TcpDialback => 17,
    };
    PolicyNumber::new(row).expect("there are 18").policy()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Mode;

    #[test]
    fn each_policy_leaves_one_method() {
        for method in Method::ALL {
            let left: Vec<Method> = only(*method).methods(Mode::Matrix).iter().collect();
            assert_eq!(left, [*method]);
        }
    }
}
