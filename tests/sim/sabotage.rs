//! Broken builds inside the harness, one for each invariant, to show that it would be caught. Those of the decision
//! itself are patches: see `tests/sim/bites.sh`.

/// What is broken on purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Sabotage {
    #[default]
    None,
    /// An adapter that sends no preconditions.
    BlindProvider,
    /// An adapter that deletes before it adds.
    EmptyingProvider,
    /// An adapter that writes to the name beside, too.
    StrayProvider,
    /// A shell that writes before it keeps the intent.
    ActsFirst,
    /// An outbox that forgets what was not taken at once.
    DroppingOutbox,
    /// A store that keeps everything but when a record was last changed.
    ForgetfulStore,
    /// A shell that hands failures over as passes of the record's last target.
    LyingProbe,
    /// A shell that sends its last write again with every look.
    Repeater,
    /// A shell that does not wake the decision when it asked for it.
    Sleeper,
    /// An adapter that writes the record and leaves its marker as it was.
    TornProvider,
    /// An adapter that neither compares markers nor shows those that cannot be followed.
    MarkerBlind,
    /// All agents but the first have a clock that is an hour behind, nobody knows of it, and every crash loses the disk.
    SecretClocks,
    /// A shell of that does not hand over the bounds of `velocity`.
    NoLimit,
    /// A shell that says yes to a person's orders and forgets them.
    DeafToOrders,
    /// A shell that hands over `all_down: serve_all`, whatever is configured.
    ServesAll,
    /// The second of several agents is told that every probe passes.
    LyingPeer,
    /// The second of several agents sees the first target down for ever.
    StuckPeer,
    /// The last of several agents writes its last write again with every look.
    RepeatingPeer,
}
