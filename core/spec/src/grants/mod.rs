//! What an app reaches for, what its operator allowed, and the decision between them.
