import CPO
import Charging
import Glibc
import SQL
import Service

// Fills a fresh database of kerb-cpo with a city full of chargers: `kerb-bench DATABASE EVSES`.
// Through the house's own stores, so that the rows are what the server itself would write.

let words = CommandLine.arguments
guard words.count == 3, let evseCount = Int(words[2]), evseCount > 0 else {
    print("use: kerb-bench DATABASE EVSES")
    exit(ExitCode.usage.rawValue)
}
try await City(evseCount: evseCount).fill(words[1])

/// Locations of four EVSEs on a square grid, some 2.2 km from one to the next.
struct City: Sendable {
    static let party = PartyID(country: "IN", party: "KRB")
    static let evsesPerLocation = 4
    static let locationsPerTransaction = 500

    let evseCount: Int

    func fill(_ path: String) async throws {
        let database = try Database(path: path)
        // The server adds the doors' tables when it starts.
        try await database.migrate(ChargePointOperator.migrations)
        let house = try await ChargePointOperator(
            database: database,
            settings: OperatorSettings(party: Self.party, name: "Bench", currency: "INR"),
            log: Log(level: .warning))
        let now = house.clock.now
        try await house.write { transaction in
            _ = try house.tariffs.put(Self.tariff(now), at: now, in: transaction)
        }
        let all = Array(0..<evseCount / Self.evsesPerLocation)
        let side = Int64(Double(all.count).squareRoot().rounded(.up))
        for start in stride(from: 0, to: all.count, by: Self.locationsPerTransaction) {
            let some = all[start..<min(start + Self.locationsPerTransaction, all.count)]
            try await house.write { transaction in
                for index in some {
                    let location = Self.location(Int64(index), side: side, now)
                    _ = try house.locations.put(location, at: now, in: transaction)
                }
            }
        }
        await database.close()
    }

    private static func tariff(_ now: Timestamp) -> Tariff {
        Tariff(
            party: party, id: "T", currency: "INR", kind: "REGULAR",
            texts: [.init(language: "en", text: "18.00 INR per kWh, plus 18 % GST")],
            elements: [
                .init(components: [.init(.energy, price: Decimal(18), vat: Decimal(18))])
            ], lastUpdated: now)
    }

    private static func location(_ index: Int64, side: Int64, _ now: Timestamp) -> Location {
        let evses = (1...evsesPerLocation).map { number in
            let isFast = number.isMultiple(of: 2)
            let connector = Connector(
                id: "1", standard: isFast ? "IEC_62196_T2_COMBO" : "IEC_62196_T2",
                format: isFast ? "CABLE" : "SOCKET", powerType: isFast ? "DC" : "AC_3_PHASE",
                maxVoltage: isFast ? 500 : 230, maxAmperage: isFast ? 125 : 32,
                maxElectricPower: isFast ? 60_000 : 22_000, tariffIDs: ["T"], lastUpdated: now)
            return EVSE(
                uid: "E\(index)-\(number)", evseID: "IN*KRB*E\(index)*\(number)",
                status: .available,
                connectors: [connector], lastUpdated: now)
        }
        return Location(
            party: party, id: "L\(index)", name: "Yard \(index)", address: "\(index) Ring Road",
            city: "Delhi", country: "IND",
            coordinates: Coordinates(
                latitude: Decimal(significand: Int128(28_000 + index / side * 20), scale: 3),
                longitude: Decimal(significand: Int128(76_500 + index % side * 20), scale: 3)),
            timeZone: "Asia/Kolkata", evses: evses, lastUpdated: now)
    }
}
