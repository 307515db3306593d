//! Names and products that the fake orders are made of.

/// First names; with [`LAST_NAMES`] they give a user the same name in every run.
pub(crate) const FIRST_NAMES: [&str; 32] = [
    "ada", "alan", "amara", "barbara", "carlos", "chen", "daniela", "dennis", "edsger", "elif", "frances", "grace",
    "hedy", "ines", "ivan", "jean", "joan", "kateryna", "kofi", "leslie", "linus", "margaret", "mei", "niklaus",
    "noor", "olga", "priya", "radia", "rosa", "tariq", "viktor", "yuki",
];

/// Last names.
pub(crate) const LAST_NAMES: [&str; 31] = [
    "adeyemi", "allen", "bauer", "borg", "costa", "dijkstra", "dubois", "garcia", "haddad", "hopper", "ivanova",
    "jansen", "kaya", "khan", "kowalski", "lamarr", "lamport", "liskov", "lovelace", "mensah", "moreau", "novak",
    "okafor", "patel", "perlman", "rossi", "sato", "schmidt", "silva", "turing", "wang",
];

/// What is sold.
pub(crate) const PRODUCTS: [&str; 24] = [
    "backpack",
    "bicycle pump",
    "camping stove",
    "coffee grinder",
    "desk lamp",
    "espresso cup",
    "fountain pen",
    "gooseneck kettle",
    "headphones",
    "headlamp",
    "hiking socks",
    "mechanical keyboard",
    "monitor arm",
    "notebook",
    "office chair",
    "phone case",
    "rain jacket",
    "running shoes",
    "sketchbook",
    "sleeping bag",
    "thermos flask",
    "travel adapter",
    "usb-c cable",
    "water bottle",
];

/// The e-mail address of a user; the number keeps it unique.
pub(crate) fn email(user: u32) -> String {
    let first = FIRST_NAMES[user as usize % FIRST_NAMES.len()];
    // The list lengths have no common divisor, so that 992 users pass before a full name repeats.
    let last = LAST_NAMES[user as usize % LAST_NAMES.len()];
    format!("{first}.{last}.{user}@example.com")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_belong_to_one_user() {
        assert_eq!(email(0), "ada.adeyemi.0@example.com");
        assert_eq!(email(33), "alan.bauer.33@example.com");
        assert_ne!(email(992), email(0));
    }
}
