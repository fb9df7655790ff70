/// A Modbus exception that a device answers with. Modbus Application Protocol 1.1b3 §7.
package struct SlaveException: Error, Hashable, Sendable {
    package let code: UInt8

    package init(_ code: UInt8) { self.code = code }

    package static let illegalFunction = SlaveException(1)
    package static let illegalAddress = SlaveException(2)
    package static let illegalValue = SlaveException(3)
    package static let deviceFailure = SlaveException(4)
}

/// What stands behind one unit number. Every call is answered at once.
package protocol SlaveDevice: Sendable {
    /// Functions 3 and 4.
    func registers(function: Int, address: Int, count: Int) throws(SlaveException) -> [UInt16]
    /// Functions 1 and 2.
    func bits(function: Int, address: Int, count: Int) throws(SlaveException) -> [Bool]
    /// Function 5, with whatever value came.
    func writeCoil(address: Int, value: UInt16) throws(SlaveException)
    /// Functions 6 and 16.
    func writeRegisters(address: Int, values: [UInt16]) throws(SlaveException)
}

extension SlaveDevice {
    package func registers(
        function: Int, address: Int, count: Int
    ) throws(SlaveException) -> [UInt16] { throw .illegalFunction }
    package func bits(function: Int, address: Int, count: Int) throws(SlaveException) -> [Bool] {
        throw .illegalFunction
    }
    package func writeCoil(address: Int, value: UInt16) throws(SlaveException) {
        throw .illegalFunction
    }
    package func writeRegisters(address: Int, values: [UInt16]) throws(SlaveException) {
        throw .illegalFunction
    }
}

/// The answering side of Modbus, without any transport: function and data in, function and data out.
///
/// Our own, because libmodbus' slave reads beyond what it received. Lengths are checked before use.
package enum SlaveAnswering {
    /// Length of a request's function and data once it can be known: nil while bytes are missing,
    /// 0 for a function nobody knows.
    static func requestLength(_ pdu: ArraySlice<UInt8>) -> Int? {
        guard let function = pdu.first else { return nil }
        switch function {
        case 1...6: return 5
        case 15, 16:
            guard pdu.count >= 6 else { return nil }
            return 6 + Int(pdu[pdu.startIndex + 5])
        default: return 0
        }
    }

    /// The answer's function and data, an exception included.
    package static func answer(_ pdu: [UInt8], by device: any SlaveDevice) -> [UInt8] {
        guard let function = pdu.first else { return [] }
        do throws(SlaveException) {
            return try answer(pdu, function, device)
        } catch {
            return [function | 0x80, error.code]
        }
    }

    private static func answer(
        _ pdu: [UInt8], _ function: UInt8, _ device: any SlaveDevice
    ) throws(SlaveException) -> [UInt8] {
        guard pdu.count >= 5 else { throw .illegalValue }
        let (address, count) = (word(pdu, 1), word(pdu, 3))
        switch function {
        case 1, 2:
            guard (1...2000).contains(count) else { throw .illegalValue }
            let bits = try device.bits(function: Int(function), address: address, count: count)
            var bytes = [UInt8](repeating: 0, count: (count + 7) / 8)
            for (index, bit) in bits.enumerated() where bit {
                bytes[index / 8] |= 1 << UInt8(index % 8)
            }
            return [function, UInt8(bytes.count)] + bytes
        case 3, 4:
            guard (1...125).contains(count), address + count <= 0x10000 else {
                throw .illegalValue
            }
            let registers = try device.registers(
                function: Int(function), address: address, count: count)
            return [function, UInt8(count * 2)]
                + registers.flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] }
        case 5:
            try device.writeCoil(address: address, value: UInt16(count))
            return Array(pdu.prefix(5))
        case 6:
            try device.writeRegisters(address: address, values: [UInt16(count)])
            return Array(pdu.prefix(5))
        case 16:
            guard (1...123).contains(count), pdu.count == 6 + count * 2,
                Int(pdu[5]) == count * 2
            else { throw .illegalValue }
            let values = (0..<count).map { UInt16(word(pdu, 6 + $0 * 2)) }
            try device.writeRegisters(address: address, values: values)
            return Array(pdu.prefix(5))
        default: throw .illegalFunction
        }
    }

    private static func word(_ bytes: [UInt8], _ at: Int) -> Int {
        Int(bytes[at]) << 8 | Int(bytes[at + 1])
    }

    /// The check sum of a serial frame, low byte first. Modbus over Serial Line 1.02 §6.2.2.
    package static func checkSum(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        var sum: UInt16 = 0xFFFF
        for byte in bytes {
            sum ^= UInt16(byte)
            for _ in 0..<8 { sum = sum & 1 == 1 ? sum >> 1 ^ 0xA001 : sum >> 1 }
        }
        return [UInt8(sum & 0xFF), UInt8(sum >> 8)]
    }
}
