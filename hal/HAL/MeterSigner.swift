import Charging

/// A meter that signs what it counted, for a driver who checks the bill. OCMF 1.4.1.
///
/// The record is evidence and never an account: nothing is billed from it, nothing in it is read,
/// mended or shortened.
package protocol MeterSigner: Sendable {
    /// Opens the meter's own transaction. One that was left open is closed first.
    ///
    /// - Returns: the record of one that was left open.
    /// - Throws: `.notSigned` when the meter refuses; the charge goes on without a signature.
    @discardableResult
    func begin(_ charge: SignedCharge) async throws(MeterError) -> SignedRecord?

    /// Closes the meter's transaction and fetches its record.
    ///
    /// After the meter lost its supply it has forgotten clock and driver: they are written once more,
    /// or it cannot close. That is why the charge is given again.
    ///
    /// - Throws: `.notSigned` when there is none: no transaction was open, or the signature failed.
    func end(_ charge: SignedCharge) async throws(MeterError) -> SignedRecord
}

/// What a meter is told about the charge that it signs.
package struct SignedCharge: Hashable, Sendable {
    /// The outlet's name for people, such as an EVSE's identity.
    package var outlet: String
    /// The driver's token.
    package var token: String
    /// The board's own number of the charge.
    package var charge: Int64

    package init(outlet: String, token: String, charge: Int64) {
        self.outlet = outlet
        self.token = token
        self.charge = charge
    }
}

/// A signed record exactly as the meter gave it.
package struct SignedRecord: Hashable, Sendable {
    /// `OCMF`.
    package var format: String
    package var text: String

    package init(format: String, text: String) {
        self.format = format
        self.text = text
    }
}
