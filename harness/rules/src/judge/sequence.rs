//! Properties of a sequence of values.

use std::collections::BTreeMap;

/// Bits of entropy that ids must have (RFC 4086 §8 asks for more; this is what a sample can show).
const BITS: f64 = 48.0;

/// Checks that the numbers at the end of the values increase.
///
/// # Errors
/// The first two that do not, or one without a number.
pub(super) fn ascends(values: &[String]) -> Result<(), String> {
    let number = |value: &String| {
        let head = value.trim_end_matches(|digit: char| digit.is_ascii_digit());
        value[head.len()..].parse::<u64>().ok()
    };
    if let Some(without) = values.iter().find(|value| number(value).is_none()) {
        return Err(format!("is `{without}`, with no number at its end"));
    }
    match values
        .windows(2)
        .find(|pair| number(&pair[0]) >= number(&pair[1]))
    {
        None => Ok(()),
        Some(pair) => Err(format!("is `{}` after `{}`", pair[1], pair[0])),
    }
}

/// Checks that values show no pattern: the characters at each position vary enough, and numbers
/// in them do not increase by equal steps.
///
/// # Errors
/// The pattern found.
pub(super) fn is_random(values: &[String]) -> Result<(), String> {
    let bits = chance(values);
    if bits < BITS {
        return Err(format!(
            "shows {bits:.0} bits of randomness in {} values, but needs {BITS}",
            values.len()
        ));
    }
    let numbers: Option<Vec<u128>> = values
        .iter()
        .map(|value| u128::from_str_radix(value, 16).ok())
        .collect();
    let steps: Vec<u128> = numbers
        .unwrap_or_default()
        .windows(2)
        .map(|pair| pair[1].wrapping_sub(pair[0]))
        .collect();
    if steps.len() > 1 && steps.windows(2).all(|pair| pair[0] == pair[1]) {
        return Err(format!("grows by {} each time", steps[0]));
    }
    Ok(())
}

/// The sum of the entropies of all positions, as observed.
fn chance(values: &[String]) -> f64 {
    let values: Vec<Vec<char>> = values.iter().map(|value| value.chars().collect()).collect();
    let length = values.iter().map(Vec::len).max().unwrap_or_default();
    let all = f64::from(u32::try_from(values.len()).unwrap_or(u32::MAX));
    (0..length)
        .map(|place| {
            let mut counts: BTreeMap<Option<char>, u32> = BTreeMap::new();
            for value in &values {
                *counts.entry(value.get(place).copied()).or_default() += 1;
            }
            let bits = |count: u32| {
                let share = f64::from(count) / all;
                -share * share.log2()
            };
            counts.into_values().map(bits).sum::<f64>()
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(values: impl IntoIterator<Item = impl ToString>) -> Vec<String> {
        values.into_iter().map(|value| value.to_string()).collect()
    }

    #[test]
    fn order_is_that_of_the_numbers_at_the_end() {
        assert_eq!(ascends(&texts(["p-9", "p-10", "p-11"])), Ok(()));
        assert!(ascends(&texts(["p-1", "p-3", "p-2"])).is_err());
        assert!(ascends(&texts(["p-1", "p-1"])).is_err(), "twice");
        assert!(ascends(&texts(["p-1", "p"])).is_err(), "no number");
    }

    #[test]
    fn counters_and_clocks_are_not_random() {
        // A multiplicative generator serves as the random source.
        let mut state = 1_u128;
        let mut next = || {
            state = state.wrapping_mul(0xda94_2042_e4dd_58b5).wrapping_add(1);
            format!("{:016x}", (state >> 32) & 0xffff_ffff_ffff_ffff)
        };
        let random = texts((0..50).map(|_| next()).skip(10));
        assert_eq!(is_random(&random), Ok(()));
        let counter = texts((0..50).map(|number| format!("stream-{number:016}")));
        assert!(is_random(&counter).is_err());
        let clock = texts((0..50).map(|number: u64| 1_700_000_000_000_000 + number * 733));
        assert!(is_random(&clock).is_err());
        let steps = texts((0..50).map(|number: u128| {
            format!(
                "{:032x}",
                number.wrapping_mul(0x0123_4567_89ab_cdef_fedc_ba98_7654_3211)
            )
        }));
        assert!(is_random(&steps).is_err());
    }
}
