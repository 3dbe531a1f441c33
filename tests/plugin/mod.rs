//! The steps beside the model: what they ask for and what they make of the answers.

mod engines;
