//! Numbers and times of the command line, and what is said of others.

use std::num::NonZeroUsize;
use std::str::FromStr;
use std::time::Duration;

/// A larger value is a mistake in the unit.
const LONGEST_TIMEOUT: f64 = 3600.0;
/// In less, the work of this machine alone may take longer.
const SHORTEST_TIMEOUT: f64 = 0.5;
const LONGEST_BUDGET: f64 = 24.0 * 3600.0;
/// More threads only take memory, and some machines refuse them.
const MOST_THREADS: usize = 256;

/// A seed.
pub(super) fn seed(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| format!("expected a whole number from 0 to {}", u64::MAX))
}

/// How many, or none.
pub(super) fn count<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| "expected a whole number, 0 or more".to_owned())
}

/// How many, where none makes no sense.
pub(super) fn at_least_one<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| "expected a whole number, 1 or more".to_owned())
}

/// A number of threads.
pub(super) fn threads(text: &str) -> Result<NonZeroUsize, String> {
    let number = text.parse().ok().and_then(NonZeroUsize::new);
    number
        .filter(|number| number.get() <= MOST_THREADS)
        .ok_or_else(|| format!("expected a number from 1 to {MOST_THREADS}"))
}

/// A time for each wait, in seconds.
pub(super) fn timeout(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (SHORTEST_TIMEOUT..=LONGEST_TIMEOUT).contains(&seconds) => {
            Ok(Duration::from_secs_f64(seconds))
        }
        _ => Err(format!(
            "expected seconds, from {SHORTEST_TIMEOUT} to {LONGEST_TIMEOUT}"
        )),
    }
}

/// Seconds, or a number with a unit.
pub(super) fn budget(text: &str) -> Result<Duration, String> {
    let units = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let with_unit = units
        .iter()
        .find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, *seconds)));
    let (number, unit) = with_unit.unwrap_or((text, 1.0));
    match number.trim_end().parse::<f64>() {
        Ok(number) if number > 0.0 && number * unit <= LONGEST_BUDGET => {
            Ok(Duration::from_secs_f64(number * unit))
        }
        _ => Err("expected a time, such as 90s, 5m or 1h, and at most 24h".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    #[test]
    fn what_is_no_number_is_refused_with_what_is_right() {
        assert_eq!(seed("18446744073709551615"), Ok(u64::MAX));
        for text in ["abc", "-1", "18446744073709551616", ""] {
            let wrong = seed(text).expect_err("it is none");
            assert_eq!(
                wrong,
                "expected a whole number from 0 to 18446744073709551615"
            );
        }
        assert_eq!(at_least_one::<NonZeroU32>("1"), Ok(NonZeroU32::MIN));
        let wrong = at_least_one::<NonZeroU32>("0");
        assert_eq!(wrong, Err("expected a whole number, 1 or more".to_owned()));
        assert_eq!(count::<u32>("0"), Ok(0));
        let wrong = count::<u32>("-1");
        assert_eq!(wrong, Err("expected a whole number, 0 or more".to_owned()));
    }
}
