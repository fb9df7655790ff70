import SQL
import Service

/// A store that keeps rows in memory as well, and may have to read them again.
protocol Remembering: AnyObject, Sendable {
    /// Grows with every change of what is kept.
    var version: Int { get }
    /// What is kept may have run ahead of the rows: the next use reads them again.
    func distrust()
    /// Reads the rows again where that is due.
    func ensure(in transaction: Transaction) throws
}

/// The one way into the database: commits, wakes the journal's readers, and keeps memory honest.
final class HouseWriter: Sendable {
    /// What a caller's own transaction threw: expected, and nothing else is wrong.
    private struct Refused: Error {
        var reason: any Error
    }

    private let database: Database
    private let journal: Journal
    private let news: HouseNews
    private let stores = Lock([any Remembering]())

    init(database: Database, journal: Journal, news: HouseNews) {
        self.database = database
        self.journal = journal
        self.news = news
    }

    func watch(_ store: any Remembering) { stores.withLock { $0.append(store) } }

    /// At the house's end: a store that writes through this would otherwise keep both.
    func unwatchAll() { stores.withLock { $0 = [] } }

    nonisolated(nonsending) func write<Value: Sendable>(
        _ body: @escaping @Sendable (Transaction) throws -> Value
    ) async throws -> Value {
        let stores = stores.withLock { $0 }
        do {
            let (value, mark, newsMark) = try await database.write {
                [journal, news] transaction in
                let before = stores.map(\.version)
                do {
                    return (try body(transaction), journal.mark, news.mark)
                } catch {
                    // Here and now, on the writer's thread: the next body must not see it.
                    for (store, version) in zip(stores, before) where store.version != version {
                        store.distrust()
                    }
                    throw Refused(reason: error)
                }
            }
            news.committed(newsMark)
            journal.committed(mark)
            return value
        } catch let refused as Refused {
            await recall(stores)
            throw refused.reason
        } catch {
            // The commit failed, and with it whatever memory took over from this body.
            for store in stores { store.distrust() }
            await recall(stores)
            throw error
        }
    }

    /// Readers of memory see what is in the rows again, and not only after the next write. Where the
    /// disk fails that write does it.
    private nonisolated(nonsending) func recall(_ stores: [any Remembering]) async {
        try? await database.write { transaction in
            for store in stores { try store.ensure(in: transaction) }
        }
    }
}
