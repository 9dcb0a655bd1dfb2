//! Errors for people: each cause is printed once.

use uuid::Uuid;

use crate::engine::NoAnswer;
use crate::error::chain;
use crate::operation::Error;
use crate::registry::RegistryError;

#[test]
fn a_cause_is_printed_once() {
    let (node, answer) = ("n1".parse().unwrap(), NoAnswer("it is mute".to_owned()));
    let refused = || RegistryError::Refused("it is mute".to_owned());
    for error in [
        Error::StateUnknown {
            node,
            answer: answer.clone(),
        },
        Error::Validate {
            node: "n1".parse().unwrap(),
            answer: answer.clone(),
        },
        Error::Cluster(answer),
        Error::Registry(refused()),
        Error::Journal(refused()),
        Error::JournalLost {
            operation: Uuid::from_u128(1),
            error: Box::new(refused()),
        },
    ] {
        let text = chain(&error);
        assert_eq!(text.matches("it is mute").count(), 1, "{text}");
    }
}
