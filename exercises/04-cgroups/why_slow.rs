//! Why is it slow?
//!
//! Five containers are slow, or seem to be. Of each you have what the files of its control group say, after a minute of
//! work. Say what holds it up, by one of these words:
//!
//! - `cpu-limit`: its own ceiling, `cpu.max`
//! - `neighbours`: it wants a processor, and others have it
//! - `memory-limit`: its own `memory.max`
//! - `disk`: it waits for a disk
//! - `nothing`: nothing that a control group knows of
//!
//! Then two numbers, which the files tell if you reckon.
//!
//! Read: the book, chapter 4, "cpu: a ceiling and a share", "memory: what happens at which line", "Statistics".

const ANSWERS: [(&str, &str); 7] = [
    // cpu.max           50000 100000
    // cpu.stat          usage_usec 29980000, nr_periods 600, nr_throttled 597, throttled_usec 201500000
    // cpu.pressure      some avg60=77.10       memory.pressure  some avg60=0.00    io.pressure  some avg60=0.00
    // memory.events     low 0, high 0, max 0, oom 0, oom_kill 0
    ("shop", "?"),
    // cpu.max           max 100000
    // cpu.stat          usage_usec 11020000, nr_periods 0, nr_throttled 0, throttled_usec 0
    // cpu.pressure      some avg60=1.12        memory.pressure  some avg60=64.33   io.pressure  some avg60=41.90
    // memory.max        67108864               memory.current   67096576
    // memory.events     low 0, high 0, max 48211, oom 0, oom_kill 0
    ("search", "?"),
    // cpu.max           200000 100000
    // cpu.stat          usage_usec 15100000, nr_periods 600, nr_throttled 0, throttled_usec 0
    // cpu.weight        35
    // cpu.pressure      some avg60=71.80       memory.pressure  some avg60=0.00    io.pressure  some avg60=0.00
    // memory.events     low 0, high 0, max 0, oom 0, oom_kill 0
    ("report", "?"),
    // cpu.max           max 100000
    // cpu.stat          usage_usec 900000, nr_periods 0, nr_throttled 0, throttled_usec 0
    // cpu.pressure      some avg60=0.20        memory.pressure  some avg60=0.00    io.pressure  some avg60=88.02
    // memory.max        max                    memory.events    low 0, high 0, max 0, oom 0, oom_kill 0
    ("backup", "?"),
    // cpu.max           100000 100000
    // cpu.stat          usage_usec 410000, nr_periods 600, nr_throttled 0, throttled_usec 0
    // cpu.pressure      some avg60=0.00        memory.pressure  some avg60=0.00    io.pressure  some avg60=0.00
    // memory.max        536870912              memory.current   536612864
    // memory.stat       anon 20971520, inactive_file 503316480
    // memory.events     low 0, high 0, max 0, oom 0, oom_kill 0
    ("proxy", "?"),
    // `shop` gets four threads, all busy, each on a processor of its own. After how many microseconds of each period
    // do they stand still?
    ("shop-runs", "?"),
    // What would `docker stats` show for `proxy` as memory in use, in MiB? (Bytes by 1048576, rounded down.)
    ("proxy-uses", "?"),
];

fn main() {
    for (name, answer) in ANSWERS {
        println!("{name} = {answer}");
    }
}
