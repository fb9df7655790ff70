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
    /// As the pilot; where an input has a line, its edge opens before any poll.
    package var safety: Int64 = 50
    /// Twice within the 250 ms in which a mirror contact has to follow (chargebyte, WARP).
    package var mirror: Int64 = 100
    /// Pilot, mirror contact and tick while nobody is there and the contactor is known to be open: a car that
    /// comes is offered current within 3 s (IEC 61851-1 Table A.6 sequence 3), and five rounds fit into
    /// `ConnectorTimings.inputIsLost`. A cabinet of four outlets asks its bus 20 times a second, not 120.
    package var resting: Int64 = 400
    /// What over-current and the fuse's sharing reckon with; more than three meters do not fit into a second
    /// of a line at 9600 baud.
    package var meter: Int64 = 1000
    /// Heat moves in minutes; four of them fit into `ConnectorTimings.temperatureIsLost`.
    package var temperature: Int64 = 5000
    /// So late may a time of `ConnectorTimings` end; the 6 s of `windDownEnds` leave room for two.
    package var tick: Int64 = 100

    package init() {}
}
