import Charging
import JSON

/// A version of OCPP as a translator between the wire and the neutral vocabulary.
///
/// Both directions are here, so that a station and an operator share one translation and each half
/// can be tested against the other. Writing is strict: keys sorted, absent fields left out, lengths
/// held. Reading is lenient, and says what it forgave.
package protocol Dialect: Sendable {
    var version: ProtocolVersion { get }
    /// The version's configuration keys.
    var settings: SettingsCatalogue { get }
    /// True for an action of this version, offered here or not: NotSupported against NotImplemented.
    func knows(action: String) -> Bool

    // MARK: Station to operator

    /// The call that tells `event`. A station sends it.
    func request(for event: StationEvent) throws(DialectError) -> CallRequest
    /// Reads a station's call. The operator receives it.
    func event(action: String, payload: RawSpan) throws(CallError) -> Decoded<StationEvent>
    /// Writes the answer's payload. The operator sends it.
    func write(_ reply: StationReply, to event: StationEvent, into writer: inout JSONWriter)
    /// Reads the operator's answer to `event`. The station receives it.
    func reply(in payload: RawSpan, to event: StationEvent) throws(CallError)
        -> Decoded<StationReply>

    // MARK: Operator to station

    /// The call that asks for `command`. The operator sends it.
    func request(for command: StationCommand) throws(DialectError) -> CallRequest
    /// Reads the operator's call. The station receives it.
    func command(action: String, payload: RawSpan) throws(CallError) -> Decoded<StationCommand>
    /// Writes the answer's payload. The station sends it.
    func write(_ answer: CommandAnswer, to command: StationCommand, into writer: inout JSONWriter)
    /// Reads the station's answer to `command`. The operator receives it.
    func answer(in payload: RawSpan, to command: StationCommand) throws(CallError)
        -> Decoded<CommandAnswer>
}

/// An action with its payload, ready to be framed as a CALL.
package struct CallRequest: Hashable, Sendable {
    package var action: String
    package var payload: [UInt8]

    package init(action: String, payload: [UInt8]) {
        self.action = action
        self.payload = payload
    }
}

/// A neutral value that this version cannot say.
package enum DialectError: Error, Hashable, Sendable {
    /// The version has no such message.
    case unknownToVersion(String)
    /// A value the version requires is absent: a time, a transaction's number.
    case missing(field: String)
    /// A value does not fit: too long, out of range, of another version.
    case unfit(field: String)
}

extension Dialect {
    package func payload(of reply: StationReply, to event: StationEvent) -> [UInt8] {
        var writer = JSONWriter(reserving: 128)
        write(reply, to: event, into: &writer)
        return writer.bytes
    }

    package func payload(of answer: CommandAnswer, to command: StationCommand) -> [UInt8] {
        var writer = JSONWriter(reserving: 128)
        write(answer, to: command, into: &writer)
        return writer.bytes
    }

    /// The operator's reading of a call whose payload lies in an array.
    package func event(_ request: CallRequest) throws(CallError) -> Decoded<StationEvent> {
        try event(action: request.action, payload: request.payload.span.bytes)
    }

    /// The station's reading of a call whose payload lies in an array.
    package func command(_ request: CallRequest) throws(CallError) -> Decoded<StationCommand> {
        try command(action: request.action, payload: request.payload.span.bytes)
    }
}
