import HAL

/// The drivers of one connector. What a board does not have is nil, and its capabilities say so.
package struct ConnectorDevices: Sendable {
    package var contactor: any Contactor
    package var pilot: any Pilot
    package var meter: any EnergyMeter
    package var proximity: (any Proximity)?
    package var lock: (any ConnectorLock)?
    package var residualCurrent: (any ResidualCurrentDevice)?
    package var emergencyStop: (any EmergencyStop)?
    package var door: (any Door)?
    package var protectiveEarth: (any ProtectiveEarth)?
    package var temperature: (any TemperatureSensor)?
    package var indicator: (any Indicator)?

    package init(
        contactor: any Contactor, pilot: any Pilot, meter: any EnergyMeter,
        proximity: (any Proximity)? = nil, lock: (any ConnectorLock)? = nil,
        residualCurrent: (any ResidualCurrentDevice)? = nil,
        emergencyStop: (any EmergencyStop)? = nil, door: (any Door)? = nil,
        protectiveEarth: (any ProtectiveEarth)? = nil,
        temperature: (any TemperatureSensor)? = nil, indicator: (any Indicator)? = nil
    ) {
        self.contactor = contactor
        self.pilot = pilot
        self.meter = meter
        self.proximity = proximity
        self.lock = lock
        self.residualCurrent = residualCurrent
        self.emergencyStop = emergencyStop
        self.door = door
        self.protectiveEarth = protectiveEarth
        self.temperature = temperature
        self.indicator = indicator
    }

    /// Puts every output where no energy can flow. The first thing a program does.
    package func makeSafe() {
        contactor.set(closed: false)
        pilot.set(.x1)
    }
}

/// How often each input is read, in milliseconds.
package struct PollIntervals: Hashable, Sendable {
    /// C to B has to open the contactor within 100 ms, the driver's filter included.
    package var pilot: Int64 = 50
    package var safety: Int64 = 50
    package var mirror: Int64 = 100
    /// Pilot, mirror contact and tick while nobody is there and the contactor is known to be open: a car that
    /// comes is offered current within 3 s (IEC 61851-1 Table A.6 sequence 3), and five rounds fit into
    /// `ConnectorTimings.inputIsLost`. A cabinet of four outlets asks its bus 20 times a second, not 120.
    package var resting: Int64 = 400
    package var meter: Int64 = 1000
    package var temperature: Int64 = 5000
    package var tick: Int64 = 100

    package init() {}
}
