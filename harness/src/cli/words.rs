//! Options whose values are the words of an enum.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use strum::VariantArray;

/// Takes one of the words.
pub(super) fn words<T>() -> impl TypedValueParser<Value = T>
where
    T: VariantArray + Copy + Into<&'static str> + Send + Sync,
{
    let word = |one: &T| -> &'static str { (*one).into() };
    let all = T::VARIANTS.iter().map(word);
    PossibleValuesParser::new(all).map(move |given| {
        let mut all = T::VARIANTS.iter();
        *all.find(|one| word(one) == given)
            .expect("it is one of these words")
    })
}
