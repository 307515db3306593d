//! What is drawn from the seed by whose request it is, and by nothing else: not by how often he asked, in which order or when.
//! So the same requests are hit in every run, whatever else differs between two runs.

use shakedown_loadgen::Digest;

/// A number that is as good as drawn. `purpose` keeps draws about one and the same order apart.
pub(super) fn draw(seed: u64, purpose: &str, path: &str, identity: &str) -> u64 {
    let mut digest = Digest::new();
    digest.number(seed);
    for text in [purpose, path, identity] {
        digest.text(text);
    }
    // The last characters of a text have hardly reached the lowest bits of its digest, by which remainders go.
    let value = digest.value();
    value ^ (value >> 32)
}

#[cfg(test)]
mod tests {
    use super::draw;

    #[test]
    fn it_is_the_same_for_ever_and_fair() {
        assert_eq!(draw(42, "decline", "/captures", "order-1"), GOLDEN, "the same orders in every release");
        for parts in [100, 1000] {
            let hits = |n: &u32| draw(1, "fail", "/emails", &format!("order-{n}")).is_multiple_of(parts);
            let hit = (0..100_000).filter(hits).count();
            let fair = 100_000 / usize::try_from(parts).expect("small");
            assert!(hit.abs_diff(fair) < fair / 3, "{hit} of {fair}");
        }
    }

    /// What was drawn when this was written.
    const GOLDEN: u64 = 11_612_783_234_957_500_513;

    #[test]
    fn each_part_of_it_counts() {
        let one = draw(1, "fail", "/captures", "a");
        let others =
            [draw(2, "fail", "/captures", "a"), draw(1, "slow", "/captures", "a"), draw(1, "fail", "/refunds", "a")];
        assert!(!others.contains(&one) && draw(1, "fail", "/captures", "b") != one);
    }
}
