import Charging
import HAL
import LinuxHAL
import Service
import Simulation
import TestSupport

/// Registers that read as 1000 + address, so that every swapped answer shows.
struct CountingDevice: SlaveDevice {
    func registers(
        function: Int, address: Int, count: Int
    ) throws(SlaveException) -> [UInt16] {
        guard address + count <= 200 else { throw .illegalAddress }
        return (address..<address + count).map { UInt16(1000 + $0) }
    }

    func writeRegisters(address: Int, values: [UInt16]) throws(SlaveException) {}
}

/// A serial bus with two counting devices behind it.
struct SerialRig {
    let slave: SerialSlave
    let bus: ModbusBus
    private let folder: TemporaryFolder

    init() throws {
        folder = TemporaryFolder()
        let link = folder.path + "/bus"
        slave = try SerialSlave(
            link: link, units: SlaveUnits([1: CountingDevice(), 2: CountingDevice()]))
        bus = ModbusBus(
            name: "test",
            address: .serial(path: link, baud: 9600, parity: .none, stopBits: 1))
    }

    /// For an answer that must come. The slave is a thread of this process, which shares its cores
    /// with others: a short patience would test the machine.
    static let patience = 5000
    /// For an answer that never comes, or comes later than this on purpose.
    static let impatience = 80

    /// Registers from `address` on, three of them.
    func read(
        _ address: Int, unit: Int = 1, count: Int = 3, timeout: Int = patience,
        quarantine: Int = DeviceRules.leastQuarantineMilliseconds
    ) async throws(BusError) -> [UInt16] {
        try await bus.call(
            unit: unit, .readRegisters(function: 3, address: address, count: count),
            rules: DeviceRules(
                timeoutMilliseconds: timeout, gapMilliseconds: 0,
                quarantineMilliseconds: quarantine),
            priority: .state)
    }

    func stop() {
        bus.close()
        slave.stop()
    }
}

extension SlaveFault.Kind {
    /// How long to wait for the answer that this fault shapes.
    var patience: Int {
        switch self {
        case .silence, .late: SerialRig.impatience
        case .exception, .wrongUnit, .checkSum, .truncated, .garbage, .echo: SerialRig.patience
        }
    }
}
