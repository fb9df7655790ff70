import CPO
import Charging
import JSON
import SQL

/// What the apps' door keeps of drivers: bookings with who ordered and who pays, what was called back,
/// complaints.
package struct BookingPersonalRows: PersonalRows {
    package init() {}

    package var tables: [any PersonalTable] { [callbacks, tickets, OrderTable()] }

    package let marks = [
        MarkSource(.order, table: "beckn_order", key: "id", column: "id", isTextKey: true)
    ]

    /// Callbacks keep what they told; delivered ones go after a week by themselves.
    private var callbacks: TextTable {
        var table = TextTable(
            "callbacks", table: "beckn_outbox", key: "seq", texts: ["body"], fate: .deleted,
            at: "created_at")
        table.shown = ["action", "state", "bap_id"]
        table.hold = { row, _ in try row.text("state") == "queued" ? .order : nil }
        return table
    }

    private var tickets: TextTable {
        var table = TextTable(
            "tickets", table: "beckn_ticket", key: "id", isTextKey: true,
            texts: ["body"], fate: .emptied, at: "at")
        table.remains = "number, app and time: the network may ask for them"
        table.shown = ["reference", "state"]
        table.orderColumn = "reference"
        table.more = { row, transaction in
            try transaction.execute(
                "UPDATE beckn_ticket SET reference = NULL, anonymous_at = at WHERE id = ?",
                row.text("id"))
        }
        table.filter = "anonymous_at IS NULL"
        return table
    }

    /// - Phone and mail find the bookings that hold them; a booking brings the token of its charge.
    package func complete(
        _ person: inout Person, by query: Person.Query, in transaction: Transaction
    ) throws {
        if let order = query.order { person.orders.insert(order) }
        for contact in [query.phone, query.email] {
            if let contact, !contact.isEmpty { person.contacts.insert(contact.lowercased()) }
        }
        if let token = query.token, let order = try Self.order(ofToken: token, in: transaction) {
            person.orders.insert(order)
        }
        let asked = PersonWords(person.contacts)
        if !asked.isEmpty {
            var cursor: SQLValue?
            repeat {
                let page = try OrderTable.window.read("id, body", after: cursor, in: transaction)
                for row in page.rows where asked.stand(in: try row.text("body")) {
                    let order = try OrderStore.order(row)
                    guard asked.stand(in: order.who.text) else { continue }
                    person.orders.insert(order.id)
                }
                cursor = page.next
            } while cursor != nil
        }
        for id in person.orders {
            person.add(token: BecknDoor.tokenUID(of: id))
            guard let order = try OrderStore().order(id: id, in: transaction) else { continue }
            person.contacts.formUnion(Self.contacts(in: order.who))
        }
    }

    /// A token of ours is made from its order's id: `BK` and 18 of its digits.
    private static func order(
        ofToken uid: String, in transaction: Transaction
    ) throws -> String? {
        let digits = uid.lowercased().dropFirst(2)
        guard uid.uppercased().hasPrefix("BK"), digits.utf8.count == 18 else { return nil }
        var start = ""
        for (index, digit) in digits.enumerated() {
            if [8, 12, 16].contains(index) { start += "-" }
            start.append(digit)
        }
        return try transaction.query(
            "SELECT id FROM beckn_order WHERE id >= ? AND id < ? ORDER BY id LIMIT 1", start,
            start + "~"
        ).first?.text("id")
    }

    /// Mail addresses, and what has digits enough for a phone number; names are others' names too.
    private static func contacts(in value: JSONValue) -> Set<String> {
        switch value {
        case .null, .bool, .number: []
        case .string(let text):
            text.contains("@") || text.filter(\.isNumber).count >= 7 ? [text.lowercased()] : []
        case .array(let elements): elements.reduce(into: []) { $0.formUnion(contacts(in: $1)) }
        case .object(let members):
            members.values.reduce(into: []) { $0.formUnion(contacts(in: $1)) }
        }
    }

    package func hold(
        on session: PersonalSession, in transaction: Transaction
    ) throws -> Hold? {
        guard let id = session.authorizationReference,
            let order = try OrderStore().order(id: id, in: transaction)
        else { return nil }
        return try OrderTable.hold(on: order, in: transaction)
    }

    // MARK: By age

    package var agings: [Aging] { [orders, ticketBodies, parkedCallbacks] }
    private static let rowsAPage = 100

    private var orders: Aging {
        Aging("orders", days: \.driversDays) { before, cursor, transaction in
            var (changed, last) = (Int64.min, "")
            if case .text(let text) = cursor {
                let parts = text.split(separator: "/", maxSplits: 1)
                changed = parts.first.flatMap { Int64($0) } ?? changed
                last = parts.last.map(String.init) ?? ""
            }
            let rows = try transaction.query(
                """
                SELECT id, body, updated_at FROM beckn_order WHERE anonymous_at IS NULL
                AND updated_at < ? AND (updated_at > ? OR (updated_at = ? AND id > ?))
                ORDER BY updated_at, id LIMIT ?
                """, before, changed, changed, last, Self.rowsAPage)
            var count = 0
            for row in rows {
                let order = try OrderStore.order(row)
                guard try OrderTable.hold(on: order, in: transaction) == nil else { continue }
                try OrderTable.makeAnonymous(order, at: before, in: transaction)
                count += 1
            }
            guard rows.count == Self.rowsAPage, let row = rows.last else { return .init(count) }
            return .init(
                count, next: .text("\(try row.int64("updated_at"))/\(try row.text("id"))"))
        }
    }

    private var ticketBodies: Aging {
        Aging("tickets", days: \.driversDays) { before, _, transaction in
            let count = try transaction.execute(
                """
                UPDATE beckn_ticket SET body = ?, reference = NULL, anonymous_at = ?
                WHERE id IN (SELECT id FROM beckn_ticket WHERE anonymous_at IS NULL AND at < ?
                ORDER BY at, id LIMIT ?)
                """, Person.erased, before, before, Self.rowsAPage)
            return .init(count, next: count == Self.rowsAPage ? .null : nil)
        }
    }

    /// Those nobody took; delivered ones went long ago.
    private var parkedCallbacks: Aging {
        Aging("callbacks", days: \.driversDays) { before, _, transaction in
            let count = try transaction.execute(
                """
                DELETE FROM beckn_outbox WHERE seq IN (SELECT seq FROM beckn_outbox
                WHERE state = 'parked' AND created_at < ? ORDER BY seq LIMIT ?)
                """, before, Self.rowsAPage)
            return .init(count, next: count == Self.rowsAPage ? .null : nil)
        }
    }
}

/// Bookings.
private struct OrderTable: PersonalTable {
    static let window = RowWindow("beckn_order", key: "id", isTextKey: true, rows: 500)

    let kind = "orders"
    let remains: String? =
        "what was sold, paid and billed, with its ids: tax law keeps bills, and payments are settled by them"
    let stage = PersonalStage.sessions

    func mentions(
        of person: Person, after cursor: SQLValue?, in transaction: Transaction
    ) throws -> MentionPage {
        MentionPage(
            try person.orders.sorted().compactMap { id in
                guard
                    let row = try transaction.queryOne(
                        """
                        SELECT body FROM beckn_order WHERE id = ? AND anonymous_at IS NULL
                        AND created_at <= ?
                        """, id, person.until)
                else { return nil }
                let order = try OrderStore.order(row)
                return Mention(
                    key: .text(id), value: try JSONCoder.value(of: order),
                    hold: try Self.hold(on: order, in: transaction))
            })
    }

    func erase(_ mention: Mention, of person: Person, in transaction: Transaction) throws {
        guard case .text(let id) = mention.key,
            let order = try OrderStore().order(id: id, in: transaction)
        else { return }
        try Self.makeAnonymous(order, at: person.until, in: transaction)
    }

    /// One that may still be changed, is not paid, or whose app does not know the last of it yet.
    static func hold(on order: Order, in transaction: Transaction) throws -> Hold? {
        if !order.state.isOver || order.outstanding > .zero { return .order }
        let waits = try transaction.queryOne(
            "SELECT 1 AS one FROM beckn_outbox WHERE subject = ? AND state = 'queued' LIMIT 1",
            BecknDoor.subject(order.context))
        return waits == nil ? nil : .order
    }

    static func makeAnonymous(
        _ order: Order, at moment: Timestamp, in transaction: Transaction
    ) throws {
        try OrderStore().store(order.anonymous, in: transaction)
        try transaction.execute(
            "UPDATE beckn_order SET anonymous_at = ? WHERE id = ?", moment, order.id)
        try transaction.execute(
            "DELETE FROM beckn_outbox WHERE subject = ? AND state <> 'queued'",
            BecknDoor.subject(order.context))
    }
}

extension Order {
    /// What the driver wrote about himself.
    fileprivate var who: JSONValue { [customer ?? .null, billing ?? .null] }

    /// The same without who ordered, who pays, where he was and what he wrote.
    fileprivate var anonymous: Order {
        var order = self
        order.customer = nil
        order.billing = nil
        order.context.location = nil
        order.waiting = []
        if order.cancellation != nil { order.cancellation?.reason = Person.erased }
        return order
    }
}
