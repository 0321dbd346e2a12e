//! STARTTLS, SASL EXTERNAL and dialback.
