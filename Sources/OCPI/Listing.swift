import CPO
import Charging
import SQL
import Service

/// The order in which lists show objects that have no creation time of their own: first seen, first.
///
/// A partner pages by offset, so an object must never move and a new one only come at the end.
final class Listing: Sendable {
    private let house: ChargePointOperator
    private let positions = Lock([String: Int64]())

    init(_ house: ChargePointOperator) { self.house = house }

    /// The objects in their fixed order; those never seen before get their place now.
    func ordered<Object: Sendable>(
        _ kind: String, _ objects: [Object], id: (Object) -> String
    ) async throws -> [Object] {
        let keys = objects.map { "\(kind)/\(id($0).lowercased())" }
        let known = positions.withLock { $0 }
        var table = known
        if keys.contains(where: { known[$0] == nil }) {
            let missing = keys.filter { known[$0] == nil }
            table = try await house.write { transaction in
                for key in missing {
                    try transaction.execute(
                        """
                        INSERT INTO ocpi_listing (kind, object) VALUES (?, ?)
                        ON CONFLICT (kind, object) DO NOTHING
                        """, kind, key)
                }
                var fresh: [String: Int64] = [:]
                for row in try transaction.query("SELECT position, object FROM ocpi_listing") {
                    fresh[try row.text("object")] = try row.int64("position")
                }
                return fresh
            }
            let fresh = table
            positions.withLock { $0 = fresh }
        }
        return zip(objects, keys).sorted { table[$0.1] ?? .max < table[$1.1] ?? .max }.map(\.0)
    }
}
