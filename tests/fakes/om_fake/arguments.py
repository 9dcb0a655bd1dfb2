"""Words and flags of a call, and what is printed when it fails."""

VALUED = "color output selector node rid time config kw env namespace waitlock sub tag subset to kind".split()
SWITCHES = "wait watch quiet debug trace caller force help ignore-not-found no-lock provision restore".split()
SWITCHES += "confirm cron local refresh monitor".split()
SHORT = {"-o": "output", "-s": "selector", "-q": "quiet", "-h": "help", "-w": "watch", "-r": "refresh"}
MISSING = "local (fallback caused by: unexpected get objects selector status 500 Internal Server Error)"
MISSING += " expand object selection: object not found"
NO_DAEMON = 'Get "http://localhost/api/%s": dial unix /var/lib/opensvc/lsnr/http.sock:'
NO_DAEMON += " connect: no such file or directory"


class Failed(Exception):
    """What is printed after `Error: `, and the exit code; stdout may come before it."""

    def __init__(self, text, code=1, out=""):
        Exception.__init__(self, text)
        self.text, self.code, self.out = text, code, out


class Args:
    """Words and flags; `--flag value`, `--flag=value`, and flags anywhere."""

    def __init__(self, argv):
        self.words, self.flags, self.kws, self.envs = [], {}, [], []
        rest = list(argv)
        while rest:
            arg = rest.pop(0)
            if arg[:1] != "-" or arg == "-":
                self.words.append(arg)
                continue
            name, equals, value = arg[2:].partition("=") if arg[:2] == "--" else (SHORT.get(arg), "", "")
            if name in SWITCHES:
                self.flags[name] = True
            elif name in VALUED:
                self.take(name, value if equals else self.next(rest, arg))
            elif arg[:2] == "--":
                raise Failed("unknown flag: %s" % arg)
            else:
                raise Failed("unknown shorthand flag: '%s' in %s" % (arg[1:2], arg))

    @staticmethod
    def next(rest, arg):
        if not rest:
            raise Failed("flag needs an argument: %s" % arg)
        return rest.pop(0)

    def take(self, name, value):
        if name == "kw":
            self.kws.append(value)
        elif name == "env":
            self.envs.append(value)
        else:
            self.flags[name] = value

    def get(self, name, default=None):
        return self.flags.get(name, default)
