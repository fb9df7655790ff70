import CModbus
import Glibc
import HAL

/// Where a bus is.
package enum BusAddress: Hashable, Sendable {
    /// A serial adapter by its stable name (`/dev/serial/by-path/…`), or a pty.
    case serial(path: String, baud: Int, parity: MeterProfile.Parity, stopBits: Int)
    case tcp(host: String, port: Int)
}

/// The one place that touches libmodbus: an open port or connection, used by one thread.
///
/// Requests go out raw, because libmodbus' own calls know neither a relay card's pulses nor the
/// comparison of unit and byte count.
struct ModbusLink: ~Copyable {
    private let context: OpaquePointer
    private let isTCP: Bool
    /// libmodbus sends raw requests under this TCP transaction. It tells nothing apart; that is why a
    /// connection is given up after any error.
    private static let transaction: UInt16 = 0

    /// Longest silence within one answer. EVerest's; a USB adapter holds bytes for 16 ms.
    static let betweenBytesMilliseconds = 100
    /// Ours: on a LAN a connection takes milliseconds, and whoever asks waits
    /// `ModbusBus.waitsMilliseconds` at most.
    static let connectMilliseconds = 1000
    /// libmodbus waits with select(), which writes outside its set from here on.
    static let descriptorLimit: Int32 = 1024

    init(_ address: BusAddress) throws(BusError) {
        let made: OpaquePointer?
        switch address {
        case .serial(let path, let baud, let parity, let stopBits):
            let letter: CChar =
                switch parity {
                case .none: 0x4E
                case .even: 0x45
                case .odd: 0x4F
                }
            made = modbus_new_rtu(path, Int32(baud), letter, 8, Int32(stopBits))
            isTCP = false
        case .tcp(let host, let port):
            made = modbus_new_tcp_pi(host, String(port))
            isTCP = true
        }
        guard let made else { throw .down(Self.reason()) }
        Self.setTimeouts(made, Self.connectMilliseconds)
        guard modbus_connect(made) == 0 else {
            let reason = Self.reason()
            modbus_free(made)
            throw .down(reason)
        }
        let socket = modbus_get_socket(made)
        if socket >= Self.descriptorLimit {
            modbus_close(made)
            modbus_free(made)
            throw .down("descriptor \(socket) is beyond what libmodbus can wait for")
        }
        // Two programs on one bus garble each other. The lock ends with the descriptor.
        if !isTCP, flock(socket, LOCK_EX | LOCK_NB) != 0 {
            modbus_close(made)
            modbus_free(made)
            throw .down("another program has this port open")
        }
        context = made
    }

    deinit {
        modbus_close(context)
        modbus_free(context)
    }

    /// Throws away what came in since the last answer.
    func flush() { _ = modbus_flush(context) }

    /// Sends one request and waits for its answer.
    func call(
        unit: Int, _ request: ModbusRequest, timeoutMilliseconds: Int
    ) throws(BusError) -> [UInt16] {
        guard modbus_set_slave(context, Int32(unit)) == 0 else { throw .down(Self.reason()) }
        Self.setTimeouts(context, timeoutMilliseconds)
        let question = [UInt8(unit)] + request.bytes
        // What came unasked since the last answer would be read as this one's.
        flush()
        guard modbus_send_raw_request(context, question, Int32(question.count)) >= 0 else {
            throw Self.failure()
        }
        var answer = [UInt8](repeating: 0, count: Int(MODBUS_TCP_MAX_ADU_LENGTH))
        let count = Int(modbus_receive_confirmation(context, &answer))
        guard count >= 0 else { throw Self.failure() }
        return try request.values(of: try body(of: answer.prefix(count), unit: unit))
    }

    /// The answer from its function on, once unit, transaction and length are what was asked for.
    private func body(of frame: ArraySlice<UInt8>, unit: Int) throws(BusError) -> ArraySlice<UInt8>
    {
        if isTCP {
            guard frame.count >= 9 else { throw .wrongAnswer("\(frame.count) bytes") }
            guard UInt16(frame[0]) << 8 | UInt16(frame[1]) == Self.transaction else {
                throw .wrongAnswer("of another transaction")
            }
            guard Int(frame[6]) == unit else { throw .wrongAnswer("from unit \(frame[6])") }
            return frame[7...]
        }
        // libmodbus calls a frame of another unit a frame of length 0.
        guard frame.count >= 5 else { throw .wrongAnswer("from another unit") }
        guard Int(frame[0]) == unit else { throw .wrongAnswer("from unit \(frame[0])") }
        return frame[1..<frame.count - 2]
    }

    private static func setTimeouts(_ context: OpaquePointer, _ milliseconds: Int) {
        modbus_set_response_timeout(
            context, UInt32(milliseconds / 1000), UInt32(milliseconds % 1000 * 1000))
        modbus_set_byte_timeout(context, 0, UInt32(betweenBytesMilliseconds * 1000))
    }

    private static func failure() -> BusError {
        switch errno {
        case ETIMEDOUT: .noAnswer
        case EIO, ENODEV, ENXIO, EBADF, ECONNRESET, EPIPE, ECONNREFUSED, ENOTCONN, EHOSTUNREACH,
            ENETUNREACH, ECONNABORTED:
            .down(reason())
        default: .wrongAnswer(reason())
        }
    }

    private static func reason() -> String { String(cString: modbus_strerror(errno)) }
}
