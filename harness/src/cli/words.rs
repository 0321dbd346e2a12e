//! Options whose values are the words of an enum.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use strum::VariantArray;

/// Takes one of the words.
pub(super) fn words<T>() -> impl TypedValueParser<Value = T>
where
    T: VariantArray + Copy + Into<&'static str> + Send + Sync,
{
    words_for(|_| true)
}

/// Takes one of the words for what is wanted.
pub(super) fn words_for<T>(is_wanted: fn(&T) -> bool) -> impl TypedValueParser<Value = T>
where
    T: VariantArray + Copy + Into<&'static str> + Send + Sync,
{
    let word = |one: &T| -> &'static str { (*one).into() };
    let all = T::VARIANTS.iter().filter(|one| is_wanted(one));
    PossibleValuesParser::new(all.map(word)).map(move |given| {
        let mut all = T::VARIANTS.iter();
        *all.find(|one| word(one) == given)
            .expect("it is one of these words")
    })
}
