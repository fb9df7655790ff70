import Charging

/// A pilot controller on Modbus as data: where the current goes, where the state comes from.
package struct EVSEControllerProfile: Hashable, Sendable {
    /// How the controller spells the pilot's state in its register.
    package enum StateCode: String, Hashable, Sendable, CaseIterable {
        /// EVSE-WB-DIN: 1 is A, 2 B, 3 C, 4 D, 5 a fault.
        case number
        /// An ASCII letter in the upper byte.
        case highLetter
        /// An ASCII letter in the lower byte.
        case lowLetter
    }

    /// What switches the offer on besides the current.
    package enum Enable: Hashable, Sendable {
        case none
        case coil(Int)
        case register(Int)
    }

    /// Takes whole amperes (or parts, see `unitsPerAmpere`); 0 stops where there is no `enable`.
    package var currentRegister: Int
    /// One unit of the current register is an ampere divided by this.
    package var unitsPerAmpere: Int
    /// 6 writes one register, 16 a list of one.
    package var writeFunction: Int
    package var stateRegister: Int
    /// 3 (holding) or 4 (input).
    package var stateFunction: Int
    package var stateCode: StateCode
    package var enable: Enable
    /// What several connectors of one unit are apart; 0 where each is a unit of its own.
    package var connectorStep: Int
    package var firmwareRegister: Int
    package var configurationRegister: Int
    /// Bit of the configuration register that, from this firmware on, makes currents hundredths;
    /// nil where the map has no such bit.
    package var hundredthsBit: Int?
    package var hundredthsFromFirmware: Int
    package var gapMilliseconds: Int
    package var timeoutMilliseconds: Int

    package init(
        currentRegister: Int = 1000, unitsPerAmpere: Int = 1, writeFunction: Int = 6,
        stateRegister: Int = 1002, stateFunction: Int = 3, stateCode: StateCode = .number,
        enable: Enable = .none, connectorStep: Int = 0, firmwareRegister: Int = 1005,
        configurationRegister: Int = 2005, hundredthsBit: Int? = 7,
        hundredthsFromFirmware: Int = 17, gapMilliseconds: Int = 100,
        timeoutMilliseconds: Int = 300
    ) {
        self.currentRegister = currentRegister
        self.unitsPerAmpere = unitsPerAmpere
        self.writeFunction = writeFunction
        self.stateRegister = stateRegister
        self.stateFunction = stateFunction
        self.stateCode = stateCode
        self.enable = enable
        self.connectorStep = connectorStep
        self.firmwareRegister = firmwareRegister
        self.configurationRegister = configurationRegister
        self.hundredthsBit = hundredthsBit
        self.hundredthsFromFirmware = hundredthsFromFirmware
        self.gapMilliseconds = gapMilliseconds
        self.timeoutMilliseconds = timeoutMilliseconds
    }

    /// What to write for a current: rounded down, 0 below 6 A, which no duty can say.
    package func raw(_ current: Amperes, unitsPerAmpere: Int) -> UInt16 {
        guard current >= Amperes(6) else { return 0 }
        return UInt16(clamping: current.milliamperes * Int64(unitsPerAmpere) / 1000)
    }

    /// The state behind a register; nil for a value the map does not know.
    package func state(_ raw: UInt16) -> PilotState? {
        let letter: UInt8
        switch stateCode {
        case .number:
            let known: [UInt16: PilotState] = [1: .a, 2: .b, 3: .c, 4: .d, 5: .e]
            return known[raw]
        case .highLetter: letter = UInt8(raw >> 8)
        case .lowLetter: letter = UInt8(raw & 0xFF)
        }
        return PilotState(rawValue: String(UnicodeScalar(letter)))
    }
}
