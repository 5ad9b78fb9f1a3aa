// Submits, waits, fetches and cancels with a client that a generator made from the description.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	bcrl "example.com/bcrl/client/bcrl"
)

func main() {
	log.SetFlags(0)
	configuration := bcrl.NewConfiguration()
	configuration.Servers = bcrl.ServerConfigurations{{URL: os.Args[1]}}
	client := bcrl.NewAPIClient(configuration)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	// Wide numbers stay as they are.
	request := bcrl.NewRequestAdd(12.000000000000002, 9007199254740991)
	submitted, answer, err := client.ApisAPI.SubmitAdd(ctx).RequestAdd(*request).Execute()
	check(err)
	if answer.StatusCode != 202 || submitted.Job == nil {
		log.Fatalf("a submission was answered with %d", answer.StatusCode)
	}
	job := submitted.Job
	for job.Status == "pending" || job.Status == "processing" {
		job, _, err = client.JobsAPI.JobStatus(ctx, job.Uuid).Prefer("wait=10").Execute()
		check(err)
	}
	if job.Status != "done" || job.GetFinishedDate().Before(job.RequestDate) {
		log.Fatalf("the job is %s", job.Status)
	}
	result, _, err := client.JobsAPI.JobResult(ctx, job.Uuid).Execute()
	check(err)
	fmt.Printf("%s: %v\n", job.Uuid, result)

	page, _, err := client.JobsAPI.JobList(ctx).Api("add").Order("oldest").Execute()
	check(err)
	if len(page.Jobs) != 1 || page.Jobs[0].Uuid != job.Uuid {
		log.Fatalf("the list has %d jobs", len(page.Jobs))
	}

	// What is refused is a problem that can be read.
	_, answer, err = client.JobsAPI.JobCancel(ctx, job.Uuid).Execute()
	var problem *bcrl.GenericOpenAPIError
	if err == nil || answer.StatusCode != 409 {
		log.Fatalf("canceling a job that has ended was answered with %d", answer.StatusCode)
	}
	problem, ok := err.(*bcrl.GenericOpenAPIError)
	if !ok {
		log.Fatalf("the refusal is no problem: %v", err)
	}
	told, ok := problem.Model().(bcrl.Problem)
	if !ok || told.Type != "/problems/job-final" {
		log.Fatalf("the problem is %v", problem.Model())
	}
	apis, _, err := client.ApisAPI.ApiList(ctx).Execute()
	check(err)
	fmt.Printf("%d APIs, and the refusal: %s\n", len(apis.Apis), told.Title)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
