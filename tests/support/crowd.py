"""Many at once."""
import threading


def at_once(function, arguments):
    """Calls function with each of the arguments, in a thread each, all at
    the same time. Raises the first error."""
    arguments, errors = list(arguments), []
    together = threading.Barrier(len(arguments))

    def one(argument):
        try:
            together.wait()
            function(argument)
        except Exception as error:
            errors.append(error)
    threads = [threading.Thread(target=one, args=(argument,))
               for argument in arguments]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        raise errors[0]
