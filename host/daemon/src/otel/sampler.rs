//! Which traces are told.

use super::span::{Context, TraceId};

/// Decides about a trace at its first span here.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sampler {
    /// Whether who asks decides, where it says so.
    parent_based: bool,
    root: Root,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Root {
    All,
    None,
    /// Those whose number is below this, of 2^56.
    Below(u64),
}

/// How many bits of a trace's number are looked at, as the specification of W3C has random ones.
const RANDOM_BITS: u32 = 56;

impl Sampler {
    /// What `OTEL_TRACES_SAMPLER` and its argument say; without them, all that the one who asks does not want left out.
    ///
    /// # Errors
    ///
    /// A sampler that is unknown, or a share that is none.
    pub(super) fn named(name: Option<&str>, argument: Option<&str>) -> Result<Self, String> {
        let name = name.unwrap_or("parentbased_always_on");
        let (parent_based, base) =
            name.strip_prefix("parentbased_").map_or((false, name), |base| (true, base));
        let root = match base {
            "always_on" => Root::All,
            "always_off" => Root::None,
            "traceidratio" => {
                let share = argument.unwrap_or("1").parse().ok().filter(|share| (0.0..=1.0).contains(share));
                let share: f64 = share.ok_or("`OTEL_TRACES_SAMPLER_ARG` is a share from 0 to 1")?;
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    clippy::cast_precision_loss,
                    reason = "a share of 2^56 fits, and is not meant exactly"
                )]
                let below = (share * (1_u64 << RANDOM_BITS) as f64) as u64;
                Root::Below(below)
            }
            _ => return Err(format!("`OTEL_TRACES_SAMPLER` is `{name}`, which is not known here")),
        };
        Ok(Self { parent_based, root })
    }

    /// Whether a span in this trace is told.
    pub(super) fn takes(self, trace: TraceId, parent: Option<Context>) -> bool {
        if let Some(parent) = parent.filter(|_| self.parent_based) {
            return parent.sampled;
        }
        match self.root {
            Root::All => true,
            Root::None => false,
            Root::Below(below) => trace.random(RANDOM_BITS) < below,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samplers_are_those_of_the_specification() {
        let of = |name, argument| Sampler::named(name, argument);
        let parent = |sampled| {
            let all = of(None, None).unwrap();
            Some(Context { sampled, ..Context::new(None, all) })
        };
        let low = TraceId::of(1);
        let high = TraceId::of(u128::MAX);
        let all = of(None, None).unwrap();
        assert!(all.takes(high, None) && all.takes(low, parent(true)) && !all.takes(low, parent(false)));
        assert!(of(Some("always_on"), None).unwrap().takes(low, parent(false)));
        let off = of(Some("parentbased_always_off"), None).unwrap();
        assert!(!off.takes(low, None) && off.takes(low, parent(true)));
        let half = of(Some("traceidratio"), Some("0.5")).unwrap();
        assert!(half.takes(low, None) && !half.takes(high, parent(true)));
        assert!(of(Some("traceidratio"), Some("1")).unwrap().takes(high, None));
        assert!(!of(Some("traceidratio"), Some("0")).unwrap().takes(TraceId::of(0), None));
        for (name, argument) in
            [("jaeger_remote", None), ("traceidratio", Some("2")), ("traceidratio", Some("x"))]
        {
            assert!(of(Some(name), argument).is_err(), "{name} {argument:?}");
        }
    }
}
