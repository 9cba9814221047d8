//! What is looked at, for each exercise: a list of [`Check`]s by the exercise's name.

mod c01;
mod c02;
mod c03;
mod c04;
mod c05;
mod c06;
mod c07;
mod c09;
mod c10;

use crate::check::Check;

/// The checks of an exercise; none if there is no exercise of that name.
pub fn of(name: &str) -> &'static [Check] {
    let chapters = [c01::of, c02::of, c03::of, c04::of, c05::of, c06::of, c07::of, c09::of, c10::of];
    chapters.into_iter().find_map(|of| of(name)).unwrap_or_default()
}
