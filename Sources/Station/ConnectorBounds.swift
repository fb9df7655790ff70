/// Every bound the connector's safety depends on that is no duration, each with where it comes from.
package enum ConnectorBounds {
    // No standard sets the four figures for heat, and no source gives them: they are ours. What may
    // not be exceeded is the board's `maximumDegrees`, above which the contactor opens; these decide
    // only how gently an outlet gets there and back.

    /// From so many degrees below the hottest allowed on, the offer falls in a straight line, down
    /// to the least that can be offered at the hottest; above that the charge stops.
    package static let deratingDegrees = 15
    /// The offer rises again only after the temperature fell by this much, so that it does not sway.
    package static let deratingHysteresisDegrees = 3
    /// After a stop for heat, energy is allowed again only so far below the hottest allowed.
    package static let hotHysteresisDegrees = 10
    /// Derated offers move in steps of this: a car need not follow every tenth of a degree.
    package static let deratingStepMilliamperes: Int64 = 500
    /// Above this part of the nominal voltage the supply is faulty: EN 50160 allows 110 %, and
    /// meters and short swells have their own error.
    package static let overVoltagePercent: Int64 = 115
    /// Below this it is, by the same reasoning; EN 50160 allows 90 %.
    package static let underVoltagePercent: Int64 = 85
    /// A phase below this while another is above has no voltage of its own, only what the car's
    /// rectifier feeds back.
    package static let phaseMissingPercent: Int64 = 50
    /// A greater distance between the phases than this part of the nominal voltage is a lost neutral;
    /// a sound supply keeps within 2 % (EN 50160).
    package static let unbalancePercent: Int64 = 20
    /// More power than this against the car's direction is a doubt about the meter: a charger of this
    /// kind never feeds back, and what filters return and meters err by is less.
    package static let feedBackWatts: Int64 = 200
    /// Between these every phase is good again.
    package static let goodVoltagePercent: ClosedRange<Int64> = 90...110
}
