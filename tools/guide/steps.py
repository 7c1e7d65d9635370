"""The exercise, in its order. docs/guide.md is made from this."""

from tools.guide import seen
from tools.guide.step import Command, Look, Step

_GRAPH = "/graph?namespace=c756ns&interval=1m"

STEPS = (
    Step(
        "The place",
        "Everything runs on the place in use: this machine, or the cluster that you have chosen with "
        "the target `cd` of its makefile. "
        "On a cluster the application must be deployed already (`make -f k8s.mak provision`).",
        (
            Command("make up", (r"Ingress +http://",)),
            Command("make -f k8s.mak showcontext", (r"local",)),
            Command("make -f k8s.mak ls", (r"cmpt756s1", r"cmpt756s2-v1", r"cmpt756db")),
        ),
        "One pod of each service, S2 in version v1.",
        only="local",
    ),
    Step(
        "The URLs",
        "The graph of the mesh, the dashboards, Prometheus, and the address that users have.",
        (
            Command("make -s -f k8s.mak kiali-url", (r"^http://\S+",)),
            Command("make -s -f k8s.mak grafana-url", (r"^http://\S+",)),
            Command("make -s -f k8s.mak prometheus-url", (r"^http://\S+",)),
            Command("make -s -f k8s.mak extern", (r"^\S+ \d+",)),
        ),
        "An address each. Open the graph in a browser.",
    ),
    Step(
        "Load",
        "One user reads records of S1, five read songs of S2, each about once a second. The load "
        "runs until you end it.",
        (
            Command("./gatling-1-user.sh", (r"ReadUserSim with 1 user",)),
            Command("./gatling-5-music.sh", (r"ReadMusicSim with 5 user",)),
            Command("tools/list-gatling.sh", (r"ReadUserSim", r"ReadMusicSim")),
        ),
        "After half a minute: one read a second on S1, slightly less than five on S2.",
        seen.load_on_both,
    ),
    Step(
        "The graph",
        "Open the graph's URL. Each box is a service, with its versions in it; each arrow says how "
        "many requests a second go there.",
        (),
        "From the gateway two arrows, to S1 and to S2; from both one to db. All is green.",
        seen.graph_of_the_calls,
        (Look("graph", _GRAPH),),
    ),
    Step(
        "Zoom",
        "Zoom with the wheel, or with the keys `+`, `-` and `0`; drag to move. A double click on "
        "S2's box shows S2 and its neighbours alone, "
        "and *Whole graph* leads back.",
        (),
        "S2 with the gateway in front of it and db behind it.",
        seen.graph_of_the_calls,
        (Look("zoom", _GRAPH + "&focus=app:c756ns/cmpt756s2"),),
    ),
    Step(
        "The side panel",
        "Click the arrow from the gateway to S2. The panel has its rate, its errors and its latencies.",
        (),
        "All of S2's traffic goes to v1, without errors.",
        seen.all_to_v1,
        (Look("panel", _GRAPH + "&selected=app:c756ns/cmpt756s2"),),
    ),
    Step(
        "v2 at 10 %",
        "Build version 2 of S2, deploy it next to version 1, and send it a tenth of the traffic, as "
        "`cluster/s2-vs-v2.yaml` says.",
        (
            Command(
                "tools/s2ver.sh v2", (r"successfully rolled out", r"virtualservice\S+ (configured|created)")
            ),
        ),
        "S2's box has two versions now, and about a tenth of the traffic goes to v2.",
        seen.a_tenth_to_v2,
    ),
    Step(
        "The bug",
        "Look at the arrow to v2, and at its side panel.",
        (),
        "It is red: about half of v2's answers are 500. v1 has no errors: one user in twenty meets "
        "the bug, not all of them.",
        seen.half_of_v2_fails,
        (Look("bug", _GRAPH),),
    ),
    Step(
        "Roll-back",
        "All traffic back to version 1. v2 still runs, so that you can look into it; nobody calls it.",
        (Command("tools/s2ver.sh v1", (r"virtualservice\S+ configured",)),),
        "All of S2's traffic goes to v1, without errors.",
        seen.all_to_v1,
    ),
    Step(
        "The fix",
        "In `s2/v2/app.py`, near the top, stands the share of reads that fail. Set it to 0 in an "
        "editor, or like this:",
        (
            Command("sed -i 's/^PERCENT_ERROR = .*/PERCENT_ERROR = 0/' s2/v2/app.py"),
            Command("git diff --stat s2/v2/app.py", (r"s2/v2/app\.py",)),
        ),
        "One line has changed. Nothing else happens: what runs was built before.",
    ),
    Step(
        "Clean",
        "An image is built only where there is no log of its build. This removes the logs, so that "
        "the next target builds again.",
        (Command("make -f k8s.mak clean", (r"build logs are removed",)),),
        "A line that says so.",
    ),
    Step(
        "Redeploy",
        "Build and deploy version 2 again, and send it its tenth.",
        (Command("tools/s2ver.sh v2", (r"successfully rolled out",)),),
        "About a tenth of the traffic goes to v2.",
        seen.a_tenth_to_v2,
    ),
    Step(
        "All green",
        "Look at the graph again, for as long as you would with real users.",
        (),
        "Traffic to both versions, without errors.",
        seen.v2_without_errors,
        (Look("green", _GRAPH),),
    ),
    Step(
        "Into the container",
        "A shell in the container of version 2.",
        (Command("make -f k8s.mak shell-s2v2", (r"app\.py",), ("ls", "exit")),),
        "The files of the image, `app.py` among them.",
    ),
    Step(
        "0/100",
        "All traffic to version 2: the weights in `cluster/s2-vs-v2.yaml` become 0 and 100.",
        (
            Command("sed -i 's/weight: 90/weight: 0/; s/weight: 10$/weight: 100/' cluster/s2-vs-v2.yaml"),
            Command("tools/s2ver.sh v2", (r"virtualservice\S+ configured",)),
        ),
        "All of S2's traffic goes to v2, without errors.",
        seen.all_to_v2,
    ),
    Step(
        "Delete v1",
        "Version 1 has done its work.",
        (
            Command("tools/kubectl -n c756ns delete deploy/cmpt756s2-v1", (r'"cmpt756s2-v1" deleted',)),
            Command("make -f k8s.mak ls", (r"cmpt756s2-v2",)),
        ),
        "Nobody has noticed: all of S2's traffic goes to v2, without errors.",
        seen.all_to_v2,
        (Look("v2-only", _GRAPH),),
    ),
    Step(
        "Scratch",
        "Remove all of the namespace: application, Services, rules. The data stays in DynamoDB.",
        (Command("make -f k8s.mak scratch", (r'namespace "c756ns" deleted',)),),
        "The namespace is gone.",
    ),
    Step(
        "Put the files back",
        "The edits of this exercise were yours; the repository has its own.",
        (
            Command("git checkout s2/v2/app.py cluster/s2-vs-v2.yaml", (r"Updated \d path",)),
            Command("git status --short s2/v2/app.py cluster/s2-vs-v2.yaml"),
        ),
        "Nothing is left changed in the two files.",
    ),
    Step(
        "What is left, everywhere",
        "Clusters cost money as long as they run. This lists those of all clouds, the tables, this "
        "machine's mesh, and load that is still sent.",
        (Command("make -f allclouds.mak ls", (r"ReadMusicSim",)),),
        "The load still runs: the table says so.",
    ),
    Step(
        "Stop",
        "Stop the mesh; its data stays. On a cloud it is the target `stop` of the cloud's makefile.",
        (Command("make -f local.mak stop"),),
        "Nothing of the mesh runs any more.",
        only="local",
    ),
    Step(
        "End the load",
        "Gatling runs on your machine, whatever the mesh does.",
        (
            Command("tools/kill-gatling.sh", (r"Ended ReadUserSim", r"Ended ReadMusicSim")),
            Command("tools/list-gatling.sh", (r"No load runs\.",)),
        ),
        "No load runs.",
    ),
)
