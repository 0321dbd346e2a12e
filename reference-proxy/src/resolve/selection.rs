//! The order in which SRV records are tried (RFC 2782): by priority, then by chance and weight.

/// One SRV record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target<N> {
    /// Lower ones are tried first.
    pub(super) priority: u16,
    /// The share among records of equal priority.
    pub(super) weight: u16,
    pub(super) name: N,
    pub(super) port: u16,
}

/// Repeatable random numbers (SplitMix64). They spread load and protect nothing.
#[derive(Clone, Debug)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number from 0 to `most`, inclusive. For sums of weights the bias is below 2⁻³².
    fn up_to(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        mixed % most.saturating_add(1).max(1)
    }
}

/// The first `most` targets in the order in which to try them.
pub(super) fn order<N: Ord>(
    mut targets: Vec<Target<N>>,
    most: usize,
    chance: &mut Chance,
) -> Vec<Target<N>> {
    // The algorithm wants weight 0 first in its priority. With the rest of the key the result
    // depends on the seed alone, not on the order in which the server listed the records.
    targets.sort_by(|one, other| {
        let key = |target: &Target<N>| (target.priority, target.weight, target.port);
        key(one)
            .cmp(&key(other))
            .then_with(|| one.name.cmp(&other.name))
    });
    let mut ordered = Vec::with_capacity(targets.len().min(most));
    while ordered.len() < most {
        let Some(first) = targets.first() else { break };
        let priority = first.priority;
        let group = targets
            .iter()
            .take_while(|target| target.priority == priority);
        let total = group.clone().map(|target| u64::from(target.weight)).sum();
        let mark = chance.up_to(total);
        let mut sum = 0;
        let chosen = group
            .map(|target| {
                sum += u64::from(target.weight);
                sum
            })
            .position(|running| running >= mark)
            .unwrap_or_default();
        ordered.push(targets.remove(chosen));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(priority: u16, weight: u16, name: &'static str) -> Target<&'static str> {
        Target {
            priority,
            weight,
            name,
            port: 5269,
        }
    }

    fn names(targets: &[Target<&'static str>]) -> Vec<&'static str> {
        targets.iter().map(|target| target.name).collect()
    }

    #[test]
    fn lower_priority_number_always_comes_first() {
        let mut chance = Chance::new(1);
        for _ in 0..200 {
            let targets = vec![
                target(20, 65535, "b"),
                target(10, 0, "a"),
                target(30, 1, "c"),
            ];
            assert_eq!(names(&order(targets, 16, &mut chance)), ["a", "b", "c"]);
        }
    }

    #[test]
    fn weights_share_the_first_place() {
        let mut chance = Chance::new(1);
        let mut first = 0;
        for _ in 0..10_000 {
            let ordered = order(
                vec![target(0, 90, "a"), target(0, 10, "b")],
                16,
                &mut chance,
            );
            assert_eq!(ordered.len(), 2);
            first += u32::from(ordered[0].name == "a");
        }
        // The mark 0 falls to the record that is sorted first, so the share is 90 of 101.
        assert!((8_600..=9_300).contains(&first), "{first}");
    }

    #[test]
    fn weight_zero_is_chosen_seldom_but_not_never() {
        let mut chance = Chance::new(1);
        let zero_first = (0..10_000)
            .filter(|_| {
                let targets = vec![target(0, 0, "zero"), target(0, 100, "much")];
                order(targets, 16, &mut chance)[0].name == "zero"
            })
            .count();
        assert!((20..=300).contains(&zero_first), "{zero_first}");
        let all_zero = vec![target(0, 0, "a"), target(0, 0, "b")];
        assert_eq!(order(all_zero, 16, &mut chance).len(), 2);
    }

    #[test]
    fn same_seed_gives_same_order_however_the_records_come() {
        let records = [target(0, 5, "a"), target(0, 5, "b"), target(0, 5, "c")];
        let mut reversed = records.to_vec();
        reversed.reverse();
        for seed in 0..50 {
            let one = order(records.to_vec(), 16, &mut Chance::new(seed));
            let other = order(reversed.clone(), 16, &mut Chance::new(seed));
            assert_eq!(one, other);
        }
    }

    #[test]
    fn no_more_than_the_bound_are_taken() {
        let many = (0..1_000).map(|port| Target {
            priority: 0,
            weight: 65_535,
            name: "a",
            port,
        });
        assert_eq!(order(many.collect(), 16, &mut Chance::new(1)).len(), 16);
    }
}
