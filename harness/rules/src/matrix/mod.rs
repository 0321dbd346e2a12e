//! Cases: which policy meets which partner in which direction, with stable ids.
//!
//! [`cases`] creates them, [`Selection`] picks some, and [`Controls`] pairs refusals with their
//! controls. Nothing here runs anything.

mod control;
mod expand;
mod guess;
mod offers;
mod selection;

pub use control::{Controls, control_of};
pub use expand::{case, cases, cases_of};
pub use guess::nearest;
pub use offers::{coherent, offers};
pub use selection::{Selection, SelectionError};
