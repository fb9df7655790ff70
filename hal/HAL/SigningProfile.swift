import Service

/// How a meter signs a charge, as its file says: which registers, which words, in which order.
///
/// - Every register here is a holding register, zero-based, high word first.
package struct SigningProfile: Hashable, Sendable {
    /// Where the meter says what it is doing.
    package struct State: Hashable, Sendable {
        package var address: Int
        package var idle: UInt16
        package var active: UInt16
        /// Active, but its supply was gone: it has forgotten what it was told.
        package var interrupted: UInt16

        package init(address: Int, idle: UInt16, active: UInt16, interrupted: UInt16) {
            self.address = address
            self.idle = idle
            self.active = active
            self.interrupted = interrupted
        }
    }

    /// Where the meter says how far its signature is.
    package struct Status: Hashable, Sendable {
        package var address: Int
        package var ready: UInt16
        /// From here on it is an error.
        package var errorsFrom: UInt16

        package init(address: Int, ready: UInt16, errorsFrom: UInt16) {
            self.address = address
            self.ready = ready
            self.errorsFrom = errorsFrom
        }
    }

    /// A text whose length in bytes stands in a register of its own.
    package struct Text: Hashable, Sendable {
        package var lengthAddress: Int
        package var address: Int
        package var mostBytes: Int

        package init(lengthAddress: Int, address: Int, mostBytes: Int) {
            self.lengthAddress = lengthAddress
            self.address = address
            self.mostBytes = mostBytes
        }
    }

    /// One step of a sequence.
    package enum Step: Hashable, Sendable {
        /// Writes one register.
        case write(address: Int, value: UInt16)
        /// Writes the wall clock in seconds since 1970, high word first, a register at a time.
        case writeTime(address: Int)
        /// Writes what the record shall say about the charge: `metadata`, filled in.
        case writeMetadata
    }

    /// The record's kind, as OCPP calls it: `OCMF`.
    package var format: String
    package var state: State
    package var status: Status
    /// JSON with `{outlet}`, `{token}` and `{charge}` to be filled in.
    package var metadata: String
    package var metadataPlace: Text
    package var record: Text
    package var signature: Text
    /// What is written to begin, to close, and to close after the meter lost its supply.
    package var begin: [Step]
    package var end: [Step]
    package var endAfterInterruption: [Step]

    package init(
        format: String, state: State, status: Status, metadata: String, metadataPlace: Text,
        record: Text, signature: Text, begin: [Step], end: [Step], endAfterInterruption: [Step]
    ) {
        self.format = format
        self.state = state
        self.status = status
        self.metadata = metadata
        self.metadataPlace = metadataPlace
        self.record = record
        self.signature = signature
        self.begin = begin
        self.end = end
        self.endAfterInterruption = endAfterInterruption
    }

    /// The metadata of one charge: what a driver or an operator named is text inside the JSON and
    /// cannot end it. `|` would end the record's field in OCMF.
    package func metadata(of charge: SignedCharge) -> String {
        metadata
            .replacing(text: "{outlet}", with: Self.escaped(charge.outlet))
            .replacing(text: "{charge}", with: "\(charge.charge)")
            // Last, so that nothing in a token is taken for a place to fill in.
            .replacing(text: "{token}", with: Self.escaped(charge.token))
    }

    private static func escaped(_ text: String) -> String {
        String(
            decoding: text.utf8.flatMap { byte -> [UInt8] in
                switch byte {
                case 0x22, 0x5C: [0x5C, byte]
                case 0x20...0x7E where byte != 0x7C: [byte]
                // A meter's display and its signature know ASCII only.
                default: [0x20]
                }
            }, as: UTF8.self)
    }
}
