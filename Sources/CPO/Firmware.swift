import Charging
import SQL

/// An image that stations can be sent, as far as a campaign needs to know it.
package struct FirmwareImage: Hashable, Sendable {
    package var id: String
    package var name: String
    /// nil: for any.
    package var vendor: String?
    package var model: String?
    /// What a station that runs it tells at its boot; nil: nobody knows.
    package var version: String?
    package var isSigned: Bool

    package init(
        id: String, name: String, vendor: String? = nil, model: String? = nil,
        version: String? = nil, isSigned: Bool = false
    ) {
        self.id = id
        self.name = name
        self.vendor = vendor
        self.model = model
        self.version = version
        self.isSigned = isSigned
    }
}

/// Who has images and addresses for them; the stations' door.
package protocol FirmwareSource: Sendable {
    func image(_ id: String, in transaction: Transaction) throws -> FirmwareImage?

    func images(version: String, in transaction: Transaction) throws -> [FirmwareImage]

    /// What this station is told, with an address of its own; nil when the image is gone.
    func order(
        _ image: String, for station: String, signed: Bool, at: Timestamp,
        in transaction: Transaction
    ) throws -> FirmwareOrder?
}

extension ChargePointOperator {
    /// A number for a request that the station repeats in its reports: positive, 31 bits, never given
    /// twice.
    package func nextRequestNumber(in transaction: Transaction) throws -> Int {
        let row = try transaction.queryOne(
            """
            INSERT INTO sequence (name, value) VALUES ('request', 1)
            ON CONFLICT (name) DO UPDATE SET value = sequence.value + 1 RETURNING value
            """)
        guard let number = try row?.int64("value"), number <= Int64(Int32.max) else {
            throw SQLError.tooLarge("all request numbers are used up")
        }
        return Int(number)
    }
}
