import CPO
import Charging
import JSON
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(1))) struct `The API for sites` {
    private static let site: JSONValue = [
        "timeZone": "Asia/Kolkata",
        "nodes": [
            ["id": "main", "amperes": 63],
            ["id": "hall", "parent": "main", "amperes": ["L1": 32, "L2": 32, "L3": 25]],
        ],
        "connectors": [
            ["station": "cs-1", "connector": 1, "node": "hall", "wiring": "STR", "amperes": 32]
        ],
    ]

    @Test func `puts, shows, limits and ends a site`() async throws {
        let api = try await TestConsole()
        let put = try await api.call("PUT", "/api/v1/sites/yard", key: api.admin, body: Self.site)
        #expect(put.status == 200)
        // In the registry's spelling.
        #expect(put["connectors"]?.array?.first?["station"] == "CS-1")
        #expect(try await api.get("/sites/yard")["nodes"]?.array?.count == 2)
        #expect(try await api.get("/sites")["items"]?.array?.count == 1)

        let limit: JSONValue = [
            "amperes": 20, "validTo": "2027-01-15T13:00:00Z", "source": "DSO",
        ]
        for method in ["PUT", "POST"] {
            let answer = try await api.call(
                method, "/api/v1/sites/yard/nodes/main/limit", key: api.operator, body: limit)
            #expect(answer.status == 200)
        }
        #expect(try await api.get("/sites/yard")["limits"]?.array?.count == 1)
        // What is got, with its limits and state, can be changed and put again.
        let shown = try await api.get("/sites/yard").json
        #expect(
            try await api.call("PUT", "/api/v1/sites/yard", key: api.admin, body: shown).status
                == 200)
        try await api.house.grid.once(api.house, over: ObedientStations())
        let state = try await api.get("/sites/yard")["state"]
        #expect(state?["nodes"]?.array?.first?["limit"]?["L3"]?.decimal == Decimal(20))
        #expect(state?["connectors"]?.array?.first?["standing"] == "governed")
        #expect(
            try await api.call(
                "DELETE", "/api/v1/sites/yard/nodes/main/limit?source=DSO", key: api.operator
            ).status == 204)
        #expect(try await api.get("/sites/yard")["limits"]?.array?.isEmpty == true)
        // Its limits have ended meanwhile.
        #expect(
            try await api.call("PUT", "/api/v1/sites/yard", key: api.admin, body: shown).status
                == 200)
        #expect(try await api.get("/sites/yard")["limits"]?.array?.isEmpty == true)
        #expect(
            try await api.call("DELETE", "/api/v1/sites/yard", key: api.admin).status == 204)
        #expect(try await api.get("/sites/yard").status == 404)
    }

    @Test(arguments: [
        ("/sites/yard", #"{"nodes":[{"id":"a"}]}"#, "nodes[0].amperes"),
        ("/sites/yard", #"{"nodes":[{"id":"a","amperes":"x"}]}"#, "nodes[0].amperes"),
        ("/sites/yard", #"{"nodes":[{"id":"a","amperes":{"L1":3}}]}"#, "nodes[0].amperes.L2"),
        (
            "/sites/yard",
            #"{"nodes":[{"id":"a","amperes":9,"windows":[{"from":"25:00","until":"26:00","amperes":1}]}]}"#,
            "nodes[0].windows[0].from"
        ),
        (
            "/sites/yard",
            #"{"nodes":[{"id":"a","amperes":9}],"connectors":[{"station":"NO","connector":1,"node":"a"}]}"#,
            "connectors[0].station"
        ),
        (
            "/sites/yard",
            #"{"nodes":[{"id":"a","amperes":9}],"connectors":[{"station":"CS-1","connector":1,"node":"a","wiring":"XYZ"}]}"#,
            "connectors[0].wiring"
        ),
        ("/sites/there/nodes/main/limit", #"{"amperes":20}"#, "validTo"),
        (
            "/sites/there/nodes/main/limit",
            #"{"amperes":20,"validTo":"2001-01-01T00:00:00Z"}"#, "validTo"
        ),
        (
            "/sites/there/nodes/main/limit",
            #"{"amperes":20,"validTo":"2030-01-01T00:00:00Z"}"#, "validTo"
        ),
        ("/sites/there/nodes/main/limit", #"{"validTo":"2027-01-15T13:00:00Z"}"#, "amperes"),
        ("/stations/CS-1/profiles/x", #"{"connector":1}"#, "schedule"),
        (
            "/stations/CS-1/profiles/x",
            #"{"connector":1,"kind":"absolute","schedule":{"unit":"A","periods":[{"start":5,"limit":6}]}}"#,
            "schedule"
        ),
        (
            "/stations/CS-1/profiles/x",
            #"{"connector":1,"windows":[{"from":"22:00","until":"06:00","watts":5}],"otherwise":32}"#,
            "windows[0].amperes"
        ),
        ("/stations/CS-1/profiles/x", #"{"session":"no","connector":1}"#, "session"),
        (
            "/stations/CS-1/profiles/x", #"{"connector":1,"validto":"2027-02-01T00:00:00Z"}"#,
            "validto"
        ),
        (
            "/stations/CS-1/profiles/x",
            #"{"kind":"absolute","schedule":{"unit":"A","duration":60,"periods":[]}}"#,
            "schedule.duration"
        ),
        (
            "/stations/CS-1/profiles/x",
            #"{"windows":[{"from":"22:00","until":"06:00","ampere":5}],"otherwise":32}"#,
            "windows[0].ampere"
        ),
        ("/sites/yard", #"{"nodes":[{"id":"a","amperes":9,"wats":100}]}"#, "nodes[0].wats"),
        ("/sites/yard", #"{"nodes":[{"id":"a","amperes":9,"window":[]}]}"#, "nodes[0].window"),
        (
            "/sites/yard", #"{"nodes":[{"id":"a","amperes":{"L1":9,"L2":9,"L3":9,"N":9}}]}"#,
            "nodes[0].amperes.N"
        ),
        (
            "/sites/yard",
            #"{"nodes":[{"id":"a","amperes":9}],"connectors":[{"station":"CS-1","connector":1,"node":"a","ampere":6}]}"#,
            "connectors[0].ampere"
        ),
        ("/sites/there", #"{"nodes":[{"id":"a","amperes":9}],"limits":[{"node":"a"}]}"#, "limits"),
        (
            "/sites/there/nodes/main/limit",
            #"{"amperes":20,"validTo":"2027-01-15T13:00:00Z","valid_from":"2027-01-15T12:30:00Z"}"#,
            "valid_from"
        ),
    ])
    func `names the field that is wrong`(path: String, body: String, field: String) async throws {
        let api = try await TestConsole()
        var there = Self.site
        there["connectors"] = []
        #expect(
            try await api.call("PUT", "/api/v1/sites/there", key: api.admin, body: there).status
                == 200)
        let answer = try await api.call(
            "PUT", "/api/v1\(path)", key: api.admin, body: JSONValue(parsing: body))
        #expect(answer.status == 422)
        #expect(answer["field"]?.string == field)
    }

    @Test func `needs the role`() async throws {
        let api = try await TestConsole()
        #expect(
            try await api.call("PUT", "/api/v1/sites/yard", key: api.operator, body: Self.site)
                .status == 403)
        #expect(
            try await api.call(
                "PUT", "/api/v1/sites/yard/nodes/main/limit", key: api.viewer, body: [:]
            ).status == 403)
    }

    @Test func `shows profiles, and what a connector is expected to be allowed`() async throws {
        let api = try await TestConsole()
        let body: JSONValue = [
            "connector": 1, "kind": "absolute",
            "schedule": [
                "unit": "A", "start": "2027-01-01T00:00:00Z",
                "periods": [["start": 0, "limit": 12]],
            ],
        ]
        let put = try await api.call(
            "PUT", "/api/v1/stations/cs-1/profiles/night", key: api.operator, body: body)
        #expect(put.status == 200)
        #expect(put["state"] == "wanted")
        try await api.house.grid.once(api.house, over: ObedientStations())
        let list = try await api.get("/stations/CS-1/profiles")["items"]?.array
        #expect(list?.first?["state"] == "told")
        let expected = try await api.get("/stations/CS-1/schedule?connector=1&seconds=600")
        let periods = expected["expected"]?["schedule"]?["periods"]?.array
        #expect(periods?.first?["limit"]?.decimal == Decimal(12))
        #expect(try await api.get("/stations/CS-1/schedule?seconds=0")["field"] == "seconds")
        #expect(
            try await api.call(
                "DELETE", "/api/v1/stations/CS-1/profiles/night", key: api.operator
            ).status == 204)
        try await api.house.grid.once(api.house, over: ObedientStations())
        #expect(try await api.get("/stations/CS-1/profiles")["items"]?.array?.isEmpty == true)
    }
}
