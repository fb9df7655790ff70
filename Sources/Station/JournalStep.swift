/// What the journal writes, one name per kind of transaction.
package enum JournalStep: String, Hashable, Sendable, CaseIterable {
    case opening, start, keep, sample, stop, orphans, time, confirmStart, confirmSample,
        confirmStop, refusal
    case setting, availability, latch, token, limits, list, profile, reservation, report, firmware
    case probe
    /// The rebuilding of a damaged journal: rows go over, the rebuilt file gets its name, the damaged
    /// one goes aside, the rebuilt one takes its place.
    case salvage, rebuilt, aside, replace
}

/// Where in a step something may go wrong.
package enum JournalMoment: String, Hashable, Sendable, CaseIterable {
    /// Before anything of it is written.
    case asked
    /// Written within the transaction, not committed.
    case written
    /// On the disk; whoever asked does not know yet.
    case committed
}

/// Is told of every step as it goes on. Tests end the process in it, or throw what a dying disk
/// would; a program that is sold has none.
package typealias JournalProbe = @Sendable (JournalStep, JournalMoment) throws -> Void

/// What bounds the journal, in one place.
package struct JournalLimits: Hashable, Sendable {
    /// Bytes of the file; `journalLimitMegabytes`. The log beside it adds at most 4 MiB.
    package var bytes: Int64 = 64 << 20
    /// Kept free of starts and samples, so that what runs can always be ended.
    package var spareBytes: Int64 = 1 << 20
    /// The most samples thinned in one step: a step must not hold up a start for long.
    package var thinnedAtOnce = 4000
    package var knownTokens = 2000
    /// Lines of the security log, and reports that wait; the oldest told ones go first.
    package var securityEvents = 1000
    /// Tokens of the local list: LocalAuthListMaxLength, and in one message: SendLocalListMaxLength,
    /// which keeps it below the 64 KiB that many peers take.
    package var localTokens = 10_000
    package var localListUpdate = 500
    /// Samples a stop repeats; with eight values each the message stays below 64 KiB.
    package var stopSamples = 50
    /// A charge that the operator refuses again and again lets others pass for this, doubling.
    package var parkedMilliseconds: Int64 = 900_000
    package var longestParkedMilliseconds: Int64 = 21_600_000
    /// Files of a damaged journal kept for a person to look at.
    package var evidence = 8
    /// So often saving what is left of a damaged journal may end the program before it comes up
    /// without it.
    package var rebuilds = 10
    /// What a person should know of, newest kept.
    package var notices = 50
    /// Seconds between two tries to write while writing fails.
    package var probeMilliseconds: Int64 = 5_000

    package init() {}

    /// Above this samples are thinned: three quarters of the file.
    var thinningBytes: Int64 { bytes / 4 * 3 }
    /// Above this no charge begins.
    var startBytes: Int64 { bytes - spareBytes }
}

/// Why no charge may begin: the journal could not promise to keep it.
package enum JournalTrouble: Hashable, Sendable, CustomStringConvertible {
    /// The disk is full.
    case full
    /// The journal has grown to `journalLimitMegabytes` and nothing is left to thin.
    case limit
    /// The disk fails.
    case failing(String)
    /// A page or a row is not what was written. The next start saves what it can.
    case damaged

    package var description: String {
        switch self {
        case .full: "the disk of the journal is full"
        case .limit: "the journal is full of charges the operator has not taken"
        case .damaged: "the journal is damaged and is rebuilt at the next start"
        case .failing(let why): "the disk of the journal fails: \(why)"
        }
    }
}

package enum JournalError: Error, Hashable, Sendable {
    /// A row holds what this program never writes.
    case damaged(String)
    /// A start that could not be promised to be kept.
    case refusing(JournalTrouble)
}
