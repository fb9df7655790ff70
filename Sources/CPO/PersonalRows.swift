import Charging
import JSON
import SQL

/// What one part of the house, or one door, keeps of people. Each brings its own; none knows another.
package protocol PersonalRows: Sendable {
    /// What is found and taken away when a person asks.
    var tables: [any PersonalTable] { get }
    /// What goes by its age.
    var agings: [Aging] { get }
    /// Where tags and orders stand from which an erasure is found again after a restore.
    var marks: [MarkSource] { get }
    /// Adds what these rows know of a person that was named in part.
    func complete(
        _ person: inout Person, by query: Person.Query, in transaction: Transaction) throws
    /// Why nothing of a session may be touched yet.
    func hold(on session: PersonalSession, in transaction: Transaction) throws -> Hold?
}

extension PersonalRows {
    package var agings: [Aging] { [] }
    package var marks: [MarkSource] { [] }
    package func complete(
        _ person: inout Person, by query: Person.Query, in transaction: Transaction
    ) throws {}
    package func hold(on session: PersonalSession, in transaction: Transaction) throws -> Hold? {
        nil
    }
}

/// Rows of one kind that may be about a person.
package protocol PersonalTable: Sendable {
    /// As reports name it.
    var kind: String { get }
    /// What stays of a row, and why; nil: it goes as a whole.
    var remains: String? { get }
    var stage: PersonalStage { get }
    /// Looks at some rows behind `cursor`, in the order of their keys.
    func mentions(
        of person: Person, after cursor: SQLValue?, in transaction: Transaction
    ) throws -> MentionPage
    func erase(_ mention: Mention, of person: Person, in transaction: Transaction) throws
}

/// The order in which rows go: those from which an erasure that was cut off is found again go late.
package enum PersonalStage: Int, Sendable, Comparable, CaseIterable {
    case traces, sessions, tokens
    /// What is made from tokens, and could be made again while they are there.
    case copies

    package static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

/// One row that is about a person.
package struct Mention: Sendable {
    package var key: SQLValue
    /// What is stored, as its owner is told.
    package var value: JSONValue
    /// Why it is not touched yet.
    package var hold: Hold?

    package init(key: SQLValue, value: JSONValue, hold: Hold? = nil) {
        self.key = key
        self.value = value
        self.hold = hold
    }
}

package struct MentionPage: Sendable {
    package var mentions: [Mention]
    /// Where the next page begins; nil: there is none.
    package var next: SQLValue?

    package init(_ mentions: [Mention], next: SQLValue? = nil) {
        self.mentions = mentions
        self.next = next
    }
}

/// Why the personal part of a row stays for now. Whoever asked is told; it goes when the reason has gone.
package enum Hold: String, Hashable, Sendable, CaseIterable {
    case running, withoutStop, lateStop, review, undelivered, order, command, reservation

    /// For whoever asked.
    package var about: String {
        switch self {
        case .running: "a charge runs"
        case .withoutStop: "a charge waits for its stop, and is billed after it"
        case .lateStop: "a charge was billed by rule; its stop may still correct the bill"
        case .review: "something about a charge waits in the review list"
        case .undelivered: "a bill is not with its eMSP yet"
        case .order: "a booking is open or not paid in full"
        case .command: "a command is under way"
        case .reservation: "a plug is kept free"
        }
    }
}

/// What doors need to know of a session to say whether it may be touched.
package struct PersonalSession: Sendable {
    package var id: String
    package var party: String
    package var authorizationReference: String?
}

/// One thing that becomes anonymous, or goes, by its age: a page at a time, each in a transaction.
package struct Aging: Sendable {
    package struct Page: Sendable {
        package var changed: Int
        /// Where the next page begins; nil: there is none.
        package var next: SQLValue?

        package init(_ changed: Int, next: SQLValue? = nil) {
            self.changed = changed
            self.next = next
        }
    }

    /// As metrics name it.
    package var kind: String
    /// Days of the settings; nil or 0: it stays for ever.
    package var days: @Sendable (RetentionSettings) -> Int
    /// - Parameters: what is older than this; the cursor of the last page.
    package var page: @Sendable (Timestamp, SQLValue?, Transaction) throws -> Page

    package init(
        _ kind: String, days: @escaping @Sendable (RetentionSettings) -> Int,
        page: @escaping @Sendable (Timestamp, SQLValue?, Transaction) throws -> Page
    ) {
        self.kind = kind
        self.days = days
        self.page = page
    }
}

/// A column from which an erasure that is still due finds its person again.
package struct MarkSource: Sendable {
    package enum Kind: String, Sendable { case tag, order }

    package var kind: Kind
    package var table: String
    package var key: String
    package var column: String
    package var isTextKey: Bool

    package init(
        _ kind: Kind, table: String, key: String, column: String, isTextKey: Bool
    ) {
        self.kind = kind
        self.table = table
        self.key = key
        self.column = column
        self.isTextKey = isTextKey
    }
}

/// After how many days what goes. 0: never.
package struct RetentionSettings: Hashable, Sendable {
    /// The fine meter readings of a charge that is billed.
    package var readingsDays = 400
    /// Who charged, reserved, ordered.
    package var driversDays = 1461
    /// Who of the operator's people did what.
    package var auditDays = 1461
    /// How long erasures are remembered, so that they are made again after a restore.
    package var backupDays = 400

    package init() {}
}
