"""How road users move: command in, next pose out.

Three models. *Kinematic bicycle* with jerk control: GIGAFLOW (arXiv 2502.03349, appendix):
accelerations are integrated from jerks, steering follows from the lateral acceleration asked
for, and the pose advances along an arc of constant curvature. *Single track*: a dynamic bicycle
whose tyre forces saturate at the friction limit, F = mu Fz tanh(C alpha / mu) (a smooth
stand-in for Pacejka's formula). *Unicycle*: walkers, who turn on the spot.
"""

# pyright: reportGeneralTypeIssues=false, reportInvalidTypeForm=false, reportCallIssue=false
# pyright: reportOperatorIssue=false, reportReturnType=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

import warp as wp

from gigalane.sim.scene import SINGLE_TRACK, UNICYCLE, Body, Traits

BRAKING_LIMIT = wp.constant(-5.0)
"""Hardest braking [m/s²] (GIGAFLOW)."""
ACCELERATION_LIMIT = wp.constant(2.5)
"""Strongest acceleration before C_acc [m/s²] (GIGAFLOW)."""
LATERAL_LIMIT = wp.constant(4.0)
"""Largest lateral acceleration [m/s²] (GIGAFLOW)."""
REVERSE_LIMIT = wp.constant(-2.0)
"""Fastest reverse [m/s] (GIGAFLOW)."""
SPEED_LIMIT = wp.constant(20.0)
"""Top speed before C_vel [m/s] (GIGAFLOW)."""
STEERING_LIMIT = wp.constant(0.55)
"""Largest wheel angle [rad] (GIGAFLOW)."""
STEERING_RATE = wp.constant(0.6)
"""Fastest steering [rad/s] (GIGAFLOW)."""
TURNING_RATE = wp.constant(3.0)
"""A walker's yaw rate for each radian of steering [1/s] (chosen)."""
GRAVITY = wp.constant(9.81)
TYRE_STIFFNESS = wp.constant(10.0)
"""Cornering stiffness over axle load [1/rad]; typical of passenger-car tyres."""
SINGLE_TRACK_LEAST_SPEED = wp.constant(3.0)
"""Below this [m/s] slip angles are ill-defined and the kinematic model takes over."""
SUBSTEP = wp.constant(0.02)
"""Longest integration step of the single-track model [s]."""


@wp.func
def no_sign_flip(before: float, after: float) -> float:
    """Zero where a quantity changes sign, so that exactly zero can be reached."""
    return wp.where(before * after < 0.0, 0.0, after)


@wp.func
def command_from_jerk(
    body: Body, traits: Traits, jerk: float, lateral_jerk: float, dt: float
) -> wp.vec2:
    """Turns jerks into the acceleration and the wheel angle to steer towards.

    Args:
        body: the present state.
        traits: of the road user.
        jerk: along [m/s³].
        lateral_jerk: to the left [m/s³].
        dt: time step [s].

    Returns:
        Acceleration [m/s²] and wheel angle [rad].
    """
    acceleration = no_sign_flip(
        body.acceleration, body.acceleration + traits.throttle_scale * jerk * dt
    )
    lateral = no_sign_flip(
        body.lateral_acceleration,
        body.lateral_acceleration + traits.steering_scale * lateral_jerk * dt,
    )
    acceleration = wp.clamp(
        acceleration, BRAKING_LIMIT, ACCELERATION_LIMIT * traits.acceleration_scale
    )
    lateral = wp.clamp(lateral, -LATERAL_LIMIT, LATERAL_LIMIT)
    speed = next_speed(body, traits, acceleration, dt)
    curvature = lateral / wp.max(speed * speed, 1.0e-5)
    return wp.vec2(acceleration, wp.atan(curvature * traits.wheelbase))


@wp.func
def next_speed(body: Body, traits: Traits, acceleration: float, dt: float) -> float:
    """Speed after a step [m/s]: trapezoid of both accelerations, no sign flip, clipped."""
    speed = no_sign_flip(body.speed, body.speed + 0.5 * (body.acceleration + acceleration) * dt)
    return wp.clamp(speed, REVERSE_LIMIT, SPEED_LIMIT * traits.speed_scale)


@wp.func
def next_steering(body: Body, target: float, dt: float) -> float:
    """Wheel angle after a step [rad], limited in rate and range."""
    turn = wp.clamp(target - body.steering, -STEERING_RATE * dt, STEERING_RATE * dt)
    return wp.clamp(body.steering + turn, -STEERING_LIMIT, STEERING_LIMIT)


@wp.func
def along_arc(body: Body, distance: float, curvature: float) -> Body:
    """Moves a body along an arc.

    Args:
        body: where it is.
        distance: arc length, negative backwards [m].
        curvature: positive to the left [1/m].
    """
    moved = body
    turn = distance * curvature
    # sin(t)/t and (1 - cos t)/t by series near 0, where the quotients lose all digits.
    forward = distance * (1.0 - turn * turn / 6.0)
    left = distance * (0.5 * turn - turn * turn * turn / 24.0)
    if wp.abs(turn) > 0.05:
        forward = wp.sin(turn) / curvature
        left = (1.0 - wp.cos(turn)) / curvature
    moved.x = body.x + forward * body.cos - left * body.sin
    moved.y = body.y + forward * body.sin + left * body.cos
    return turned(moved, body.heading + turn)


@wp.func
def turned(body: Body, heading: float) -> Body:
    """The body with another heading [rad], kept within [-pi, pi)."""
    moved = body
    moved.heading = heading - 6.283185307 * wp.floor((heading + 3.141592654) / 6.283185307)
    moved.cos = wp.cos(moved.heading)
    moved.sin = wp.sin(moved.heading)
    return moved


@wp.func
def advance_kinematic(
    body: Body, traits: Traits, acceleration: float, steering: float, dt: float
) -> Body:
    """Kinematic bicycle; see `advance`."""
    speed = next_speed(body, traits, acceleration, dt)
    wheel = next_steering(body, steering, dt)
    curvature = wp.tan(wheel) / traits.wheelbase
    moved = along_arc(body, 0.5 * (body.speed + speed) * dt, curvature)
    moved.speed = speed
    moved.steering = wheel
    moved.acceleration = acceleration
    moved.lateral_acceleration = speed * speed * curvature
    moved.side_speed = 0.0
    moved.yaw_rate = speed * curvature
    return moved


@wp.func
def advance_unicycle(
    body: Body, traits: Traits, acceleration: float, steering: float, dt: float
) -> Body:
    """Walker: speed as a car's, heading free; see `advance`."""
    speed = next_speed(body, traits, acceleration, dt)
    moved = along_arc(body, 0.5 * (body.speed + speed) * dt, 0.0)
    moved = turned(moved, body.heading + TURNING_RATE * steering * dt)
    moved.speed = speed
    moved.steering = steering
    moved.acceleration = acceleration
    moved.lateral_acceleration = speed * TURNING_RATE * steering
    moved.yaw_rate = TURNING_RATE * steering
    return moved


@wp.func
def advance_single_track(
    body: Body, traits: Traits, acceleration: float, steering: float, dt: float
) -> Body:
    """Dynamic bicycle with saturating tyres; see `advance`.

    Both axles carry half the weight and lie half a wheelbase from the centre; the radius of
    gyration squared is 1.1 times the product of those arms.
    """
    moved = body
    wheel = next_steering(body, steering, dt)
    arm = 0.5 * traits.wheelbase
    gyration = 1.1 * arm * arm
    limit = traits.friction * GRAVITY
    drive = wp.clamp(acceleration, -0.95 * limit, 0.95 * limit)
    # Friction ellipse: what braking and driving take is lost to cornering.
    grip = 0.5 * wp.sqrt(limit * limit - drive * drive)
    steps = int(wp.ceil(dt / SUBSTEP))
    h = dt / float(steps)
    speed = body.speed
    side = body.side_speed
    yaw = body.yaw_rate
    heading = body.heading
    lateral = float(0.0)
    for _ in range(steps):
        slip_front = wheel - wp.atan2(side + arm * yaw, speed)
        slip_rear = -wp.atan2(side - arm * yaw, speed)
        front = grip * wp.tanh(TYRE_STIFFNESS * slip_front / traits.friction)
        rear = grip * wp.tanh(TYRE_STIFFNESS * slip_rear / traits.friction)
        lateral = front * wp.cos(wheel) + rear
        speed = speed + h * (drive - front * wp.sin(wheel) + side * yaw)
        side = side + h * (lateral - speed * yaw)
        yaw = yaw + h * arm * (front * wp.cos(wheel) - rear) / gyration
        heading = heading + h * yaw
        moved.x = moved.x + h * (speed * wp.cos(heading) - side * wp.sin(heading))
        moved.y = moved.y + h * (speed * wp.sin(heading) + side * wp.cos(heading))
    moved = turned(moved, heading)
    moved.speed = wp.clamp(speed, REVERSE_LIMIT, SPEED_LIMIT * traits.speed_scale)
    moved.side_speed = side
    moved.yaw_rate = yaw
    moved.steering = wheel
    moved.acceleration = drive
    moved.lateral_acceleration = lateral
    return moved


@wp.func
def advance(body: Body, traits: Traits, command: wp.vec2, dt: float) -> Body:
    """Moves a road user by one time step.

    Args:
        body: the present state.
        traits: of the road user.
        command: acceleration [m/s²] and wheel angle to steer towards [rad].
        dt: time step [s].

    Returns:
        The next state; `past_*` hold the present pose and the jerks what was felt.
    """
    moved = body
    if traits.model == UNICYCLE:
        moved = advance_unicycle(body, traits, command[0], command[1], dt)
    elif traits.model == SINGLE_TRACK and body.speed > SINGLE_TRACK_LEAST_SPEED:
        moved = advance_single_track(body, traits, command[0], command[1], dt)
    else:
        moved = advance_kinematic(body, traits, command[0], command[1], dt)
    return felt(body, moved, dt)


@wp.func
def displace(body: Body, traits: Traits, forward: float, left: float, turn: float, dt: float):
    """Moves a road user by a displacement in its own frame, limited to what it could drive.

    Args:
        body: the present state.
        traits: of the road user.
        forward: [m].
        left: [m].
        turn: change of heading [rad].
        dt: time step [s].
    """
    moved = body
    ahead = wp.clamp(forward, REVERSE_LIMIT * dt, SPEED_LIMIT * traits.speed_scale * dt)
    side = wp.clamp(left, -0.5 * wp.abs(ahead), 0.5 * wp.abs(ahead))
    moved.x = body.x + ahead * body.cos - side * body.sin
    moved.y = body.y + ahead * body.sin + side * body.cos
    moved = turned(moved, body.heading + wp.clamp(turn, -dt, dt))
    moved.speed = ahead / dt
    moved.acceleration = (moved.speed - body.speed) / dt
    moved.yaw_rate = wp.clamp(turn, -dt, dt) / dt
    moved.lateral_acceleration = moved.speed * moved.yaw_rate
    return felt(body, moved, dt)


@wp.func
def felt(body: Body, moved: Body, dt: float) -> Body:
    """Notes the pose that was left and the jerks between two states."""
    noted = moved
    noted.past_x = body.x
    noted.past_y = body.y
    noted.past_cos = body.cos
    noted.past_sin = body.sin
    noted.jerk = (moved.acceleration - body.acceleration) / dt
    noted.lateral_jerk = (moved.lateral_acceleration - body.lateral_acceleration) / dt
    return noted
