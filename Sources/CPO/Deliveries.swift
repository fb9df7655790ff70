import Charging
import SQL
import Service

/// What a partner did not take and that was set aside.
package struct StuckDelivery: Hashable, Sendable {
    /// For `retry` and `dismiss`; opaque, without a slash.
    package var id: String
    /// A reader of the journal, or who was to be called.
    package var reader: String
    /// Of the journal's line, or the callback's action.
    package var kind: String
    /// The line's subject, or the transaction.
    package var subject: String
    package var at: Timestamp
    /// Why it was not taken, as the last try found.
    package var reason: String
    /// One more try was asked for and is not made yet.
    package var isAsked: Bool

    package init(
        id: String, reader: String, kind: String, subject: String, at: Timestamp, reason: String,
        isAsked: Bool
    ) {
        self.id = id
        self.reader = reader
        self.kind = kind
        self.subject = subject
        self.at = at
        self.reason = reason
        self.isAsked = isAsked
    }
}

/// Money that goes nowhere although it is tried.
package struct LateDelivery: Hashable, Sendable {
    package var reader: String
    package var since: Timestamp

    package init(reader: String, since: Timestamp) {
        self.reader = reader
        self.since = since
    }
}

/// How many a reader has set aside, and when the first was.
package struct StuckCount: Hashable, Sendable {
    package var reader: String
    package var count: Int64
    package var since: Timestamp

    package init(reader: String, count: Int64, since: Timestamp) {
        self.reader = reader
        self.count = count
        self.since = since
    }
}

/// What became of the wish to try once more.
package enum DeliveryRetry: Hashable, Sendable {
    case asked
    /// Its partner is gone: it can only be settled by hand and dismissed.
    case nobodyReads
    /// Its partner has heard, or will hear, something newer of the same.
    case overtaken
}

/// Where deliveries to partners are kept until these took them.
package protocol DeliveryStore: Sendable {
    /// Who did not take money of before `moment`, which is still tried.
    func late(before moment: Timestamp, in transaction: Transaction) throws -> [LateDelivery]
    func counts(in transaction: Transaction) throws -> [StuckCount]
    /// Newest first.
    func stuck(limit: Int, in transaction: Transaction) throws -> [StuckDelivery]
    /// nil when there is none of this id here.
    func retry(_ id: String, at: Timestamp, in transaction: Transaction) throws -> DeliveryRetry?
    /// False when there is none of this id here.
    func dismiss(_ id: String, in transaction: Transaction) throws -> Bool
    /// After the commit of a retry.
    func wake()
}

/// What waits for partners, wherever it is kept: the journal's lines, and what doors lay out themselves.
package final class Deliveries: Sendable {
    private let stores: Lock<[any DeliveryStore]>
    private let naming = Lock([@Sendable (String) -> String?]())

    init(journal: Journal) { stores = Lock([JournalDeliveries(journal: journal)]) }

    package func register(_ store: any DeliveryStore) { stores.withLock { $0.append(store) } }

    /// Lets a door say who stands behind its readers.
    package func name(_ readers: @escaping @Sendable (String) -> String?) {
        naming.withLock { $0.append(readers) }
    }

    /// What the operator calls whom a reader serves; nil where nobody knows better than the reader's name.
    package func partner(of reader: String) -> String? {
        for name in naming.withLock({ $0 }) { if let name = name(reader) { return name } }
        return nil
    }

    package func late(
        before moment: Timestamp, in transaction: Transaction
    ) throws -> [LateDelivery] {
        try stores.withLock { $0 }.flatMap { try $0.late(before: moment, in: transaction) }
    }

    package func counts(in transaction: Transaction) throws -> [StuckCount] {
        try stores.withLock { $0 }.flatMap { try $0.counts(in: transaction) }
    }

    /// Newest first, of all stores together at most `limit`.
    package func stuck(limit: Int, in transaction: Transaction) throws -> [StuckDelivery] {
        let all = try stores.withLock { $0 }.flatMap { try $0.stuck(limit: limit, in: transaction) }
        return Array(all.sorted { ($0.at, $0.id) > ($1.at, $1.id) }.prefix(limit))
    }

    /// Has it tried once; call `wake` after the commit. nil: there is none of this id.
    package func retry(
        _ id: String, at: Timestamp, in transaction: Transaction
    ) throws -> DeliveryRetry? {
        for store in stores.withLock({ $0 }) {
            if let outcome = try store.retry(id, at: at, in: transaction) { return outcome }
        }
        return nil
    }

    /// Lets it go: a person has settled it otherwise. False: there is none of this id.
    package func dismiss(_ id: String, in transaction: Transaction) throws -> Bool {
        for store in stores.withLock({ $0 }) {
            if try store.dismiss(id, in: transaction) { return true }
        }
        return false
    }

    package func wake() { for store in stores.withLock({ $0 }) { store.wake() } }
}
