//! Data.
pub mod draw;
pub mod pattern;
