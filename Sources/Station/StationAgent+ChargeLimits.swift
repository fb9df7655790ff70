import Charging
import JSON
import OCPP
import Service

/// Limits of energy, time and money for a running charge. OCPP 1.6 has no message for them, so they
/// come as DataTransfer: vendor `kerb`, message `ChargeLimit`, data a JSON object in a text.
///
/// | member | what |
/// |---|---|
/// | `transactionId` or `connectorId` | which running charge |
/// | `energyWh` | whole watt-hours from its start, 1 to 10,000,000 |
/// | `seconds` | from its start, pauses included, 1 to 31,536,000 |
/// | `amount`, `pricePerKWh` | money as numbers or texts, at most 6 digits after the point |
///
/// It replaces all limits of the charge; none of the last three rows takes them away. Anything else
/// is answered `Rejected` with the reason and changes nothing.
extension StationAgent {
    /// Characters of `data` that are read at all.
    private static let longestData = 1_000

    func limit(_ text: String) async -> CommandAnswer {
        do throws(ChargeLimitError) {
            guard text.utf8.count <= Self.longestData else { throw .tooLong }
            let order = try ChargeLimitOrder(text)
            let (charge, connector) = try await running(order.whose)
            guard await connector.limit(order.limits, charge: charge) else { throw .noCharge }
            log.notice(
                "charge limited",
                [
                    "connector": connector.number, "charge": charge,
                    "energyWh": order.limits.energy?.value, "seconds": order.limits.seconds,
                    "moneyWh": order.limits.budget?.energy.value,
                ])
            return .data(status: "Accepted", data: nil)
        } catch {
            let why: JSONValue = .members(["reason": .string("\(error)")])
            return .data(status: "Rejected", data: why.text)
        }
    }

    private func running(
        _ whose: ChargeLimitOrder.Whose
    ) async throws(ChargeLimitError) -> (Int64, ConnectorController) {
        switch whose {
        case .connector(let number):
            guard let connector = controller(number), let charge = await connector.charge()
            else { throw .noCharge }
            return (charge.id, connector)
        case .transaction(let id):
            var found: (charge: Int64, connector: ConnectorNumber)?
            do { found = try await journal.openCharge(operatorID: id) } catch {
                log.error("journal not read", ["error": String(describing: error)])
            }
            guard let found, let connector = controller(found.connector) else { throw .noCharge }
            return (found.charge, connector)
        }
    }
}

/// Why an order was refused, in words the operator can mend it by.
enum ChargeLimitError: Error, Hashable, CustomStringConvertible {
    case tooLong, notAnObject, noCharge, whose
    case unknown(String)
    case outOfRange(String, String)

    var description: String {
        switch self {
        case .tooLong: "data is longer than 1000 bytes"
        case .notAnObject: "data must be one JSON object"
        case .noCharge: "no such charge is running"
        case .whose: "give either transactionId or connectorId"
        case .unknown(let member): "unknown member \(member)"
        case .outOfRange(let member, let range): "\(member) must be \(range)"
        }
    }
}

/// One order, read and checked.
struct ChargeLimitOrder: Hashable, Sendable {
    enum Whose: Hashable, Sendable {
        case transaction(Int)
        case connector(ConnectorNumber)
    }

    var whose: Whose
    var limits: ChargeLimits

    private static let members: Set<String> = [
        "transactionId", "connectorId", "energyWh", "seconds", "amount", "pricePerKWh",
    ]

    init(_ text: String) throws(ChargeLimitError) {
        // A peer's text: whatever is wrong with it is one answer.
        guard let value = try? JSONValue(parsing: text), let members = value.object else {
            throw .notAnObject
        }
        for key in members.keys.sorted() where !Self.members.contains(key) {
            throw .unknown(String(key.prefix(30)))
        }
        switch (value["transactionId"], value["connectorId"]) {
        case (let id?, nil):
            whose = .transaction(
                Int(try Self.whole(id, "transactionId", in: 0...Int64(Int32.max))))
        case (nil, let number?):
            whose = .connector(Int(try Self.whole(number, "connectorId", in: 1...1_000)))
        case (nil, nil), (.some, .some): throw .whose
        }
        limits = ChargeLimits()
        if let energy = value["energyWh"] {
            limits.energy = WattHours(
                try Self.whole(energy, "energyWh", in: 1...ChargeLimits.highestEnergy.value))
        }
        if let seconds = value["seconds"] {
            limits.seconds = try Self.whole(seconds, "seconds", in: 1...ChargeLimits.longestSeconds)
        }
        limits.budget = try Self.budget(value["amount"], value["pricePerKWh"])
    }

    private static func whole(
        _ value: JSONValue, _ member: String, in range: ClosedRange<Int64>
    ) throws(ChargeLimitError) -> Int64 {
        guard let number = value.int64, range.contains(number) else {
            throw .outOfRange(
                member, "a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    private static func budget(
        _ amount: JSONValue?, _ price: JSONValue?
    ) throws(ChargeLimitError) -> ChargeLimits.Budget? {
        guard amount != nil || price != nil else { return nil }
        guard let amount = amount.flatMap(decimal), let price = price.flatMap(decimal),
            let budget = ChargeLimits.Budget(amount: amount, perKilowattHour: price)
        else {
            throw .outOfRange(
                "amount and pricePerKWh",
                "both given, above 0, up to 1000000 and 10000, at most 6 digits after the point")
        }
        return budget
    }

    private static func decimal(_ value: JSONValue) -> Decimal? {
        value.decimal ?? value.string.flatMap { $0.utf8.count <= 40 ? Decimal($0) : nil }
    }
}
