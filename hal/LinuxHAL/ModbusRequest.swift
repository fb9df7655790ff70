/// One question to a Modbus device, without unit, check sum or header.
package enum ModbusRequest: Hashable, Sendable {
    /// Functions 1 and 2: coils and digital inputs.
    case readBits(function: Int, address: Int, count: Int)
    /// Functions 3 and 4: holding and input registers.
    case readRegisters(function: Int, address: Int, count: Int)
    /// Function 5 with any value: the standard knows 0xFF00 and 0, relay cards know more.
    case writeCoil(address: Int, value: UInt16)
    case writeRegister(address: Int, value: UInt16)
    case writeRegisters(address: Int, values: [UInt16])

    /// Registers per read that the protocol allows. Modbus Application Protocol 1.1b3 §6.3.
    package static let mostRegisters = 125

    package var function: UInt8 {
        switch self {
        case .readBits(let function, _, _), .readRegisters(let function, _, _): UInt8(function)
        case .writeCoil: 5
        case .writeRegister: 6
        case .writeRegisters: 16
        }
    }

    /// Function and what follows it.
    package var bytes: [UInt8] {
        switch self {
        case .readBits(_, let address, let count), .readRegisters(_, let address, let count):
            [function] + Self.word(address) + Self.word(count)
        case .writeCoil(let address, let value), .writeRegister(let address, let value):
            [function] + Self.word(address) + Self.word(Int(value))
        case .writeRegisters(let address, let values):
            [function] + Self.word(address) + Self.word(values.count) + [UInt8(values.count * 2)]
                + values.flatMap { Self.word(Int($0)) }
        }
    }

    /// The registers or bits (as 0 and 1) of an answer to this request; writes answer with none.
    ///
    /// - `answer` begins with the function. Unit and check sum are the caller's to compare.
    package func values(of answer: some Collection<UInt8>) throws(BusError) -> [UInt16] {
        let answer = Array(answer)
        guard let first = answer.first else { throw .wrongAnswer("empty") }
        if first == function | 0x80 {
            guard answer.count == 2 else {
                throw .wrongAnswer("an exception of \(answer.count) bytes")
            }
            throw .refused(code: Int(answer[1]))
        }
        guard first == function else {
            throw .wrongAnswer("function \(first) instead of \(function)")
        }
        switch self {
        case .readBits(_, _, let count):
            let size = (count + 7) / 8
            try Self.check(answer, size: size)
            return (0..<count).map { UInt16(answer[2 + $0 / 8] >> UInt8($0 % 8) & 1) }
        case .readRegisters(_, _, let count):
            try Self.check(answer, size: count * 2)
            return (0..<count).map { UInt16(answer[2 + $0 * 2]) << 8 | UInt16(answer[3 + $0 * 2]) }
        case .writeCoil, .writeRegister, .writeRegisters:
            // A write is answered with its own address and value or count.
            guard answer == Array(bytes.prefix(5)) else {
                throw .wrongAnswer("a write that was not asked for")
            }
            return []
        }
    }

    private static func check(_ answer: [UInt8], size: Int) throws(BusError) {
        guard answer.count == size + 2, Int(answer[1]) == size else {
            throw .wrongAnswer("\(answer.count - 2) bytes instead of \(size)")
        }
    }

    private static func word(_ value: Int) -> [UInt8] {
        [UInt8(value >> 8 & 0xFF), UInt8(value & 0xFF)]
    }
}

/// Why a request has no answer.
package enum BusError: Error, Hashable, Sendable {
    case noAnswer
    /// The port or connection is gone; it is tried again by itself.
    case down(String)
    case refused(code: Int)
    case wrongAnswer(String)
    /// The device failed often and is left alone.
    case resting(milliseconds: Int64)
    /// The queue is full, or the request waited longer than its deadline.
    case busy
    /// A newer request of the same key took its place.
    case superseded
    case closed
}
